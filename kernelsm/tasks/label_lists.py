"""Texts that name several labels at once, such as "sport, politics": told from other texts, and taken apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_SEPARATORS = (",", ";", "|")
_MOST_LABELS = 50
_LONGEST, _MOST_WORDS = 40, 4  # of a label: what is longer is a sentence


def find_separator(texts: Iterable[str], *, chosen: bool = False) -> str:
    """Return what parts the labels in texts that look like lists of labels; empty where they do not.

    They do where parts come back: the different texts hold at most 50 different parts, each of them twice on average
    or more, none of them a sentence.

    Parameters
    ----------
    texts : iterable of str
        The different texts of a column.
    chosen : bool
        Whether the user said that the texts are lists of labels. Then the parts may be more, and need not come back.

    Examples
    --------
    >>> from kernelsm.tasks.label_lists import find_separator
    >>> find_separator(["sport", "politics", "sport, politics"]), find_separator(["Paris, France", "Rome, Italy"])
    (',', '')
    """
    listed = list(texts)
    for separator in _SEPARATORS:
        if not any(separator in text for text in listed):
            continue
        lists = [split_labels(text, separator) for text in listed]
        parts = Counter(part for found in lists for part in found)
        short = all(len(part) <= _LONGEST and len(part.split()) <= _MOST_WORDS for part in parts)
        come_back = len(parts) <= _MOST_LABELS and 2 * len(parts) <= parts.total()
        if short and len(parts) >= 2 and (chosen or come_back):
            return separator
    return ""


def split_labels(text: str, separator: str) -> list[str]:
    """Return the labels that a text names, each once, without the blanks around them."""
    return list(dict.fromkeys(part.strip() for part in text.split(separator) if part.strip()))
