"""Subsets whose outcome is far from everything else, named: the default surrogate sets them aside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kernelsm.app.shell.words import plain
from kernelsm.outcomes.table import Outcomes
from kernelsm.surrogates.wording import number

_MOST_ROWS, _MOST_NAMES = 5, 6


def show_outlying_rows(outcomes: Outcomes, rows: Sequence[int], *, numbered: bool = True) -> None:
    """Draw the sentence about these rows of a table, where there are any."""
    if len(rows):
        st.warning(outlier_sentence(outcomes, rows, numbered=numbered), icon=":material/scatter_plot:")


def outlier_sentence(outcomes: Outcomes, rows: Sequence[int], *, numbered: bool = True) -> str:
    """Name the subsets of some rows, say what is done about them, and what the user can do.

    Parameters
    ----------
    outcomes : Outcomes
        Where it has one target, the outcomes are named too.
    rows : sequence of int
        Rows of the table, from 0; at least one.
    numbered : bool
        Whether the rows are those of the user's table, so that their numbers mean something to the user.
    """
    said = [_row(outcomes, int(row), numbered) for row in rows[:_MOST_ROWS]]
    said += [f"{len(rows) - _MOST_ROWS} more"] if len(rows) > _MOST_ROWS else []
    several = len(rows) > 1
    head = f"**{len(rows)} subsets have outcomes" if several else "**One subset has an outcome"
    others = np.delete(outcomes.values, list(rows), axis=0)
    usual = (
        f" The others lie between {number(float(others.min()))} and {number(float(others.max()))}."
        if outcomes.q == 1 and len(others) else ""
    )  # fmt: skip
    aside = "sets them aside" if several else "sets it aside"
    again = "them again, or take them" if several else "it again, or take it"
    return (
        f"{head} far from everything else**: {'; '.join(said)}.{usual} The default surrogate {aside}, so that the "
        f"effects of tasks do not drown in {'them' if several else 'it'}. Measure {again} out of the table if "
        "something went wrong there."
    )


def _row(outcomes: Outcomes, row: int, numbered: bool) -> str:
    where = f"row {row + 1}, " if numbered else ""
    value = f" ({number(float(outcomes.values[row, 0]))})" if outcomes.q == 1 else ""
    return f"{where}{subset_name(outcomes.masks[row], outcomes.task_names)}{value}"


def subset_name(mask: NDArray[np.bool_], names: Sequence[str]) -> str:
    """Name a subset by the tasks that are in, or by those that are out where these are fewer; safe for Markdown."""
    inside, outside = np.flatnonzero(mask), np.flatnonzero(~np.asarray(mask, dtype=bool))
    if not len(outside):
        return "all tasks"
    if not len(inside):
        return "no task"
    few, word = (inside, "only") if len(inside) <= len(outside) else (outside, "all but")
    listed = [plain(names[k]) for k in few[:_MOST_NAMES]]
    listed += [f"{len(few) - _MOST_NAMES} more"] if len(few) > _MOST_NAMES else []
    together = listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}"
    return f"{word} {together}"
