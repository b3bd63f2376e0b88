"""The form of content hashes, which name tables, projects, prompts and uploads; such a name is never a path."""

from __future__ import annotations

import re

CONTENT_HASH = "[0-9a-f]{40}"
"""Pattern of a content hash, for patterns of longer names."""


def is_content_hash(name: str) -> bool:
    """Whether `name` has the form of a content hash, forty hex digits.

    Examples
    --------
    >>> is_content_hash("0123456789abcdef0123456789abcdef01234567"), is_content_hash("../runs")
    (True, False)
    """
    return re.fullmatch(CONTENT_HASH, name) is not None
