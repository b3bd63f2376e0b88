"""How a file was read: notes, columns that are left out, and what each of the others holds."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import plain
from kernelsm.pipelines.inspect_samples import columns_seen, is_outcomes
from kernelsm.samples.column_facts import Facts

_MOST_NAMED, _MOST_EXPLAINED = 5, 20
_KINDS = {
    "number": "numbers", "whole": "whole numbers", "boolean": "true and false", "text": "text", "array": "arrays",
    "empty": "nothing",
}  # fmt: skip


def show_reading(facts: Facts) -> None:
    """Draw what `python -m kernelsm inspect` says of a file."""
    if is_outcomes(facts):
        st.warning(
            "Its columns are called task: and target:, as in a table of outcomes. Is it one? Then choose *A table of "
            "outcomes* above.",
            icon=":material/help:",
        )
    for note in facts.notes:
        st.info(plain(note), icon=":material/info:")
    if facts.left_out:
        names = ", ".join(plain(name) for name in list(facts.left_out)[:_MOST_NAMED])
        more = " ..." if len(facts.left_out) > _MOST_NAMED else ""
        st.info(f"These columns cannot be read and are left out: {names}{more}.", icon=":material/info:")
    encoding = f", {facts.encoding}" if facts.encoding else ""
    with st.expander(f"What each column holds, in all {facts.rows:,} rows{encoding}", icon=":material/view_column:"):
        seen = pd.DataFrame(columns_seen(facts)).rename(
            columns={"name": "column", "kind": "holds", "distinct": "different values"}
        )
        seen["holds"] = seen["holds"].map(_KINDS)
        if "shape" in seen:
            seen["shape"] = [
                " x ".join(map(str, shape)) if isinstance(shape, list) else "" for shape in seen["shape"]
            ]
        show_table(seen, hide_index=True, alt="What each column holds")
        for why in list(facts.left_out.values())[:_MOST_EXPLAINED]:
            st.caption(f"Left out: {plain(why)}")
        if len(facts.left_out) > _MOST_EXPLAINED:
            st.caption(f"And {len(facts.left_out) - _MOST_EXPLAINED:,} other columns.")
