"""."""

from nova_aggregates.xenapi.codes.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
