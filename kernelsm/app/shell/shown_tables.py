"""Tables on screen, whose own download is offered only where no spreadsheet would run a text in them as a formula.

It hands every text over as it stands. The files that pages offer are safe with any name.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any
from zlib import crc32

import pandas as pd
import streamlit as st

from kernelsm.export.csv_text import is_formula

_STYLE = """<style>
[class*="st-key-kernelsm_no_csv"] [data-testid="stElementToolbarButton"]:has([aria-label="Download as CSV"]) {
    display: none;
}
</style>"""


def show_table(data: pd.DataFrame, **named: Any) -> Any:
    """Draw a table as `st.dataframe` does."""
    with _place(data, str(named.get("key") or named.get("alt"))):
        return st.dataframe(data, **named)


def edit_table(data: pd.DataFrame, **named: Any) -> pd.DataFrame:
    """Draw a table whose cells can be changed, as `st.data_editor` does, and return it as it is now."""
    with _place(data, str(named["key"])):
        edited: pd.DataFrame = st.data_editor(data, **named)
        return edited


def _place(data: pd.DataFrame, name: str) -> AbstractContextManager[Any]:
    if not holds_formulas(data):
        return nullcontext()
    place = st.container(key=f"kernelsm_no_csv_{crc32(name.encode())}")
    place.html(_STYLE)
    return place


def holds_formulas(data: pd.DataFrame) -> bool:
    """Whether a spreadsheet would run a text of a table, or the name of a column, as a formula."""
    texts = data.select_dtypes(exclude="number")
    if any(is_formula(str(name)) for name in data.columns):
        return True
    return any(isinstance(cell, str) and is_formula(cell) for name in texts for cell in texts[name])
