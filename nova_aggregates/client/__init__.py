"""The command line client. It speaks HTTP to the service and imports nothing of it."""
