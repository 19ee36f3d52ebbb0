"""Which characters text may have: what XML, JSON and every database can carry."""

from __future__ import annotations

import re

# Controls, line separators, lone surrogates and the two code points that XML forbids.
ILLEGAL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def is_clean(value: str) -> bool:
    """No illegal character, and no white space at either end."""
    return not ILLEGAL.search(value) and value == value.strip()


def is_name(value: str) -> bool:
    """1 to 255 clean characters."""
    return 0 < len(value) <= 255 and is_clean(value)


def printable(value: str) -> str:
    """``value`` with every illegal character replaced, for messages."""
    return ILLEGAL.sub("\ufffd", value)
