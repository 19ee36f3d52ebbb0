"""One module a noun; setup.py has the table of all commands."""
