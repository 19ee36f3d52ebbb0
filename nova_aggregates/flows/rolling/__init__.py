"""rolling_update: hosts are emptied, updated and brought back, a few at a time."""
