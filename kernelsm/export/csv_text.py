"""Tables as CSV that a spreadsheet opens as what it says: no name in it is run as a formula."""

from __future__ import annotations

import re

import pandas as pd

_FORMULA = re.compile(r"\s*[=+\-@\t\r＝＋－＠]")
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?"
_NUMBERS = re.compile(rf"{_NUMBER}(( ± | to ){_NUMBER})*")


def csv_text(table: pd.DataFrame, separator: str = ",") -> str:
    """Return a table as CSV without its index, with the ends of lines of RFC 4180.

    A text that a spreadsheet would run as a formula, because it begins with =, +, -, @, a tab or a carriage return
    and is no number, gets an apostrophe in front, which spreadsheets take as the sign of a text. Numbers stay as
    they are.

    Parameters
    ----------
    table : DataFrame
    separator : str
        A tab gives what a spreadsheet pastes into cells.

    Examples
    --------
    >>> csv_text(pd.DataFrame({"task": ["=1+1", "-0.5", "north"], "effect": [-0.5, 0.25, 1.0]})).splitlines()
    ['task,effect', "'=1+1,-0.5", '-0.5,0.25', 'north,1.0']
    """
    texts = table.map(lambda cell: safe_cell(cell) if isinstance(cell, str) else cell)
    return str(
        texts.rename(columns=lambda name: safe_cell(str(name))).to_csv(
            index=False, sep=separator, lineterminator="\r\n"
        )
    )


def safe_cell(text: str) -> str:
    """Return a text that no spreadsheet runs as a formula: itself, or with an apostrophe in front.

    Examples
    --------
    >>> safe_cell("=1+1"), safe_cell("-0.5"), safe_cell("north")
    ("'=1+1", '-0.5', 'north')
    """
    return f"'{text}" if is_formula(text) else text


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would run a text as a formula.

    Examples
    --------
    >>> is_formula("@SUM(A1)"), is_formula("+1e-3"), is_formula("-0.12 ± 0.03"), is_formula("a=b")
    (True, False, False, False)
    """
    return _FORMULA.match(text) is not None and _NUMBERS.fullmatch(text) is None
