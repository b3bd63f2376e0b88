"""Demonstrations: label words that are calibrated, what that changes, and what is added to each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.pipelines.askers import gives_label_probabilities
from kernelsm.prompts.agreement import measured_mean
from kernelsm.surrogates.wording import amount, number
from kernelsm.workspace.prompt_projects import PromptSource

_MOST_SHOWN = 260  # pixels
_HELP = (
    "A small model leans to a label whatever the query says: how far, it is asked with queries without content (N/A, "
    "an empty one, [MASK]) after the same demonstrations, and that is taken off its answers."
)


def ask_toggle(source: str, prompt_source: PromptSource) -> bool:
    """Offer to calibrate label words when the model is asked; not where there are none with probabilities."""
    if not gives_label_probabilities(prompt_source):
        return False
    return st.toggle("Calibrate label words", key=_ask_key(source), persist_state="session", help=_HELP)


def advise(choice: PromptChoice) -> None:
    """Set what the toggle is at first: what the run was asked with; what the user chose stays."""
    if gives_label_probabilities(choice.source):
        st.session_state.setdefault(_ask_key(choice.run.prompts), choice.calibrated)


def _ask_key(source: str) -> str:
    return f"demo_calibrate_{source}"


def check_toggle(choice: PromptChoice) -> bool:
    """Offer to check with label words calibrated too; a calibrated run is checked so without asking."""
    if choice.calibrated or not gives_label_probabilities(choice.source):
        return choice.calibrated
    return st.toggle(
        "With label words calibrated too", key="demo_check_calibrated", persist_state="session",
        help=f"{_HELP} Shows loss and right answers before and after.",
    )  # fmt: skip


def show_calibration(choice: PromptChoice, result: dict[str, Any]) -> None:
    """Say what calibration does to the picked prompt, the first of a calibrated check, and what it adds to labels."""
    before, after = (np.array(result[name][0], dtype=float) for name in ("uncalibrated", "values"))  # (orders, 2, q)
    st.markdown(effect(before, after))
    offsets = np.array(result["offsets"][0][0], dtype=float)
    shares = 100 * np.exp(-offsets)
    show_table(
        pd.DataFrame({"label word": choice.task.labels, "without content": shares, "offset": offsets}),
        hide_index=True, width="content", height=_MOST_SHOWN if len(offsets) > 6 else "auto",
        alt="What is added to the log-probability of each label word",
        column_config={
            "without content": st.column_config.NumberColumn(
                format="%.0f%%", help="How probable the model finds it after queries without content, in the mean"
            ),
            "offset": st.column_config.NumberColumn(
                format="%+.3f", help="Nats that are added to its log-probability"
            ),
        },
    )  # fmt: skip
    in_order = ", in the order shown" if choice.size > 1 else ""
    st.caption(
        f"To answer as calibrated after this prompt{in_order}: add its offset to the log-probability of each label "
        "word, and take the word with the highest sum."
    )


def effect(before: np.ndarray[Any, np.dtype[np.float64]], after: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    """Return a sentence on loss and right answers of a prompt before and after calibration.

    Parameters
    ----------
    before, after : ndarray, shape (orders, 2, q)
        Loss and accuracy of every query, in each order; the first order is the one shown.
    """
    change = measured_mean(after[:1, 0] - before[:1, 0], 1)
    by = f" ({amount(change.mean, change.margin, signed=True)})"
    shown, orders = "", ""
    if len(before) > 1:
        shown = " in the order shown"
        orders = f"; in the mean of these {len(before)} orders {_both(before, after)}"
    return f"With label words calibrated{shown}, {_both(before[:1], after[:1], by, mark='**')}{orders}."


def _both(
    before: np.ndarray[Any, np.dtype[np.float64]],
    after: np.ndarray[Any, np.dtype[np.float64]],
    by: str = "",
    *,
    mark: str = "",
) -> str:
    (loss, right), (new_loss, new_right) = (one.mean(axis=(0, 2)) for one in (before, after))
    return (
        f"the loss goes from {number(loss)} to {mark}{number(new_loss)}{mark}{by} and right answers from {right:.0%} "
        f"to {mark}{new_right:.0%}{mark}"
    )
