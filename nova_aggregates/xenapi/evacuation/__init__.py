"""Emptying a host: what is known of its guests and of the other hosts, what keeps a guest where it
is, and who goes where. Everything but :func:`facts.read` is plain computation."""
