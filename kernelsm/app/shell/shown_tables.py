"""Tables on screen, whose own download is offered only where no spreadsheet would run a text in them as a formula.

It hands every text over as it stands. The files that pages offer are safe with any name.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any
from zlib import crc32

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from kernelsm.export.csv_text import is_formula
from kernelsm.surrogates.wording import value_and_margin

_ROW, _HEAD, _ROWS_BY_ITSELF = 35, 37, 10  # pixels of a row and of the head; rows where no height is asked for


def show_table(
    data: pd.DataFrame, *, margins: Mapping[str, str] | None = None, signed: bool = True, **named: Any
) -> Any:
    """Draw a table as `st.dataframe` does.

    Parameters
    ----------
    data : DataFrame
    margins : mapping of str to str, optional
        Columns of numbers, and the columns of half their intervals: both have the decimals of the one rule.
    signed : bool
        Whether those numbers have a sign.
    **named
        For `st.dataframe`.
    """
    # no empty rows where there are fewer than the place holds, and no "None" for what is not known
    if isinstance(height := named.get("height"), int):
        named["height"] = min(height, _HEAD + (named.get("row_height") or _ROW) * max(1, len(data)))
    named.setdefault("placeholder", "")
    with _place(data, str(named.get("key") or named.get("alt"))), _scrolling(data, named):
        return st.dataframe(rounded(data, margins, signed=signed) if margins else data, **named)


def rounded(data: pd.DataFrame, margins: Mapping[str, str], *, signed: bool) -> Styler:
    """Numbers that are read as words and sorted as numbers."""
    # one row at a time would be slow: rows whose half-width has as many digits are written together
    styled = data.reset_index(drop=True).style
    for value, margin in margins.items():
        texts = [value_and_margin(*pair, signed=signed) for pair in zip(data[value], data[margin], strict=True)]
        for column, place in ((value, 0), (margin, 1)):
            for form in {_form(text[place]) for text in texts}:
                rows = [row for row, text in enumerate(texts) if _form(text[place]) == form]
                sign = "+" if signed and place == 0 else ""
                styled = styled.format(partial(_written, form and f"{{:{sign}{form}}}"), subset=(rows, [column]))
    return styled


def _form(text: str) -> str:
    """How a number was written: with so many decimals, as a power of ten, or not at all."""
    return ".3g" if "e" in text else text and f"z.{len(text.partition('.')[2])}f"


def _written(form: str, value: float) -> str:
    return "" if pd.isna(value) else form.format(value)


def edit_table(data: pd.DataFrame, **named: Any) -> pd.DataFrame:
    """Draw a table whose cells can be changed, as `st.data_editor` does, and return it as it is now."""
    with _place(data, str(named["key"])), _scrolling(data, named):
        edited: pd.DataFrame = st.data_editor(data, **named)
        return edited


def _place(data: pd.DataFrame, name: str) -> AbstractContextManager[Any]:
    if not holds_formulas(data):
        return nullcontext()
    return st.container(key=f"kernelsm_no_csv_{crc32(name.encode())}")  # page.css hides the button there


def _scrolling(data: pd.DataFrame, named: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """A place for a table that scrolls within itself: page.css says there how a finger gets to its other rows."""
    height, row = named.get("height", "auto"), named.get("row_height") or _ROW
    high = {"content": None, "auto": _ROWS_BY_ITSELF * _ROW + _HEAD}.get(height, height)
    if high is None or _HEAD + row * len(data) <= high:
        return nullcontext()
    return st.container(key=f"kernelsm_scrolls_{crc32(str(named.get('key') or named.get('alt')).encode())}")


def holds_formulas(data: pd.DataFrame) -> bool:
    """Whether a spreadsheet would run a text of a table, or the name of a column, as a formula."""
    texts = data.select_dtypes(exclude="number")
    if any(is_formula(str(name)) for name in data.columns):
        return True
    return any(isinstance(cell, str) and is_formula(cell) for name in texts for cell in texts[name])
