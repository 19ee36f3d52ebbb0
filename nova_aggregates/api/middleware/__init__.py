"""WSGI middleware; api-paste.ini has the order and wsgi.py the reason for it."""
