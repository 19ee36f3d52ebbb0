"""The entries of the error catalogue, one module a topic."""
