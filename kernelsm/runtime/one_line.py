"""Text that has to stay on one line: names, titles and messages, which may come from strangers' files."""

from __future__ import annotations

import unicodedata

LONGEST_TITLE = 300

# Unicode's categories of control characters (line breaks among them), halves of a letter (surrogates, which cannot
# be written as UTF-8), and the separators of lines and paragraphs
_NOT_ON_ONE_LINE = ("Cc", "Cs", "Zl", "Zp")


def is_one_line(text: str) -> bool:
    r"""Whether a text is free of line breaks, other control characters and halves of letters.

    Examples
    --------
    >>> is_one_line("digit 3 (mislabelled)"), is_one_line("digit\n3")
    (True, False)
    """
    return not any(map(_breaks, text))


def escape_line_breaks(text: str) -> str:
    r"""Write line breaks, control characters and halves of letters as Python does, such as \n for a line break."""
    return "".join(ascii(letter)[1:-1] if _breaks(letter) else letter for letter in text)


def one_line_title(title: str) -> str:
    r"""Return a title with spaces for line breaks, control characters and halves of letters, cut to 300 characters.

    Examples
    --------
    >>> one_line_title("my\ndata")
    'my data'
    """
    return "".join(" " if _breaks(letter) else letter for letter in title)[:LONGEST_TITLE]


def _breaks(letter: str) -> bool:
    return unicodedata.category(letter) in _NOT_ON_ONE_LINE
