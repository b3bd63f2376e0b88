"""Demonstrations: the table of candidates, in which a ticked box puts one into the next slot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.demonstrations import prompt_choice
from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.shell import frame, navigation, session
from kernelsm.app.shell.open_runs import Run
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import plain
from kernelsm.examples.catalog import PROMPT_EXAMPLES
from kernelsm.runtime.near_ties import rising
from kernelsm.surrogates.results import Attribution

_SEARCH, _LABELS = "demo_search", "demo_labels"
_TABLE, _REFUSED = "demo_table", "demo_refused"
_LABELS_SHOWN = 8
_ROW, _ROWS_HIGH = 102, 649  # pixels: five lines of text, which wraps from 65; the head and six rows


def blocked(run: Run) -> None:
    """Say that a run is not about prompts, and offer runs that are."""
    st.info(
        f"{plain(run.title or 'This run')} is not about prompts: its tasks are not demonstrations.",
        icon=":material/info:",
    )
    columns = frame.panels(len(PROMPT_EXAMPLES) + 1, 220)
    for column, example in zip(columns, PROMPT_EXAMPLES.values(), strict=False):
        column.button(
            f"Open {example.title}", icon=":material/visibility:", key=f"demo_open_{example.name}",
            on_click=session.look_at, args=(example.name,),
        )  # fmt: skip
    columns[-1].page_link(navigation.DATA, label="Bring your own texts", icon=":material/upload:")


def candidates(choice: PromptChoice) -> None:
    """Draw the table of candidates; a box ticked puts one into the next slot."""
    st.header("Candidates")
    task, size = choice.task, choice.size
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        text = st.text_input("Search", key=_SEARCH, placeholder="words in the text", persist_state="session")
        labels: list[str] = []
        if 0 < len(task.labels) <= _LABELS_SHOWN:
            labels = st.pills(
                "Label", list(task.labels), format_func=plain, key=_LABELS, selection_mode="multi",
                persist_state="session",
            )  # fmt: skip
    effects = choice.effects
    clear = effects.told_from_zero() if effects else np.zeros(task.K, dtype=np.bool_)
    fits = [
        text.casefold() in candidate.text.casefold() and (not labels or candidate.label in labels)
        for candidate in task.candidates
    ]
    shown = [k for k in ranked(effects, clear, task.K) if fits[k]]
    if not shown:
        st.info("No candidate has these words and labels.", icon=":material/search_off:")
        return
    st.caption(_what_the_table_says(choice, int(clear.sum()), len(shown)))
    columns: dict[str, Any] = {
        "text": [task.candidates[k].text for k in shown], "label": [task.candidates[k].label for k in shown],
    }  # fmt: skip
    if effects and clear.any():
        told, margin = clear[shown], effects.margin()[shown, 0]
        columns["effect"] = np.where(told, effects.values[shown, 0], np.nan)
        columns["±"] = np.where(told & np.isfinite(margin), margin, np.nan)
    rows = [row for row, k in enumerate(shown) if k in choice.picked]
    # the browser ignores a selection equal to the last one it was sent; a new key makes it draw the table anew
    key = f"{_TABLE}_{st.session_state.get(_REFUSED, 0)}"
    if _ticked_rows(key) != rows:  # else the browser would forget which cell the keyboard is at
        st.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    show_table(
        pd.DataFrame(columns),
        key=key,
        margins={"effect": "±"} if "effect" in columns else {},
        hide_index=True,
        height=_ROWS_HIGH,
        row_height=_ROW,
        selection_mode="multi-row",
        on_select=lambda: _tick(key, shown, size),
        alt=f"Candidates with their label{' and effect' if 'effect' in columns else ''}",
        column_config={
            "text": st.column_config.TextColumn(width=210),
            "label": st.column_config.TextColumn(width=70),
            "effect": st.column_config.NumberColumn(
                width=70,
                help=f"Mean {choice.measured_unit} of prompts of {size} with it, minus with another one in its "
                "place; only where it can be told from zero",
            ),
            "±": st.column_config.NumberColumn(width=60, help="Half of the 90% interval"),
        },
    )


def _ticked_rows(key: str) -> list[int] | None:
    """What the browser shows as ticked; None where it shows no table yet."""
    known = st.session_state.get(key)
    return None if known is None else sorted(known["selection"]["rows"])


def ranked(effects: Attribution | None, clear: np.ndarray[Any, np.dtype[np.bool_]], K: int) -> list[int]:
    """Candidates whose effect can be told from zero: those that help first, those that hurt last.

    The others stand between them in the order of their file, which no chance has made.
    """
    if effects is None:
        return list(range(K))
    values = effects.values[:, 0]
    badness = np.where(clear, -values if effects.higher_is_better else values, 0.0)
    return [int(k) for k in rising(badness)]


def _what_the_table_says(choice: PromptChoice, clear: int, shown: int) -> str:
    """Say how many candidates are shown, in what order, and which sign helps."""
    K = choice.task.K
    if choice.holds_all:
        return f"{shown} of {K} candidates. {prompt_choice.ALL_IN}"
    keys = "By keyboard: arrows, then Shift and Space."
    if not clear:
        return (
            f"{shown} of {K} candidates, as in their file: no effect of a single one can be told from zero, with all "
            f"of them in mind. {keys}"
        )
    helps = "Positive" if choice.higher_is_better else "Negative"
    return (
        f"{shown} of {K} candidates, the most helpful first, the most harmful last. {helps} effects help; "
        f"{clear} of {K} can be told from zero, and only these are shown. {keys}"
    )


def _tick(key: str, shown: list[int], size: int) -> None:
    picked = session.view().picked
    ticked = prompt_choice.ticked(picked, shown, st.session_state[key].selection.rows)
    if len(ticked) > size:
        st.session_state[_REFUSED] = st.session_state.get(_REFUSED, 0) + 1
        st.toast(f"All {size} slots are full: take one out first.", icon=":material/block:")
    else:
        prompt_choice.pick(ticked)
