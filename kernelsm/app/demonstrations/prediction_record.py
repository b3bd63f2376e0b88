"""Demonstrations: how well prompts of these texts are predicted that were left out, and how good choices were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.demonstrations.choice_record import record as choices_record
from kernelsm.app.demonstrations.prompt_choice import PromptChoice, known_prediction
from kernelsm.app.shell import frame
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.charts.calibration import calibration_plot
from kernelsm.prompts.prediction_quality import (
    FEWEST_SETS,
    FOLDS,
    LEVELS,
    Quality,
    SurrogateQuality,
    cross_validated,
)
from kernelsm.runtime.store import ChunkKind, Store

_WAIT = "Leaving prompts out and predicting them ..."
QUALITY_CHUNKS = ChunkKind("prompt_prediction_quality", version=2)
_NAMES = {"In order": "The page's: who is in, and where", "Linear: which are in": "Linear: who is in"}


def record(choice: PromptChoice) -> None:
    """Draw how well left-out prompts are predicted, beside plainer surrogates, then the record of choices."""
    st.markdown("### On these texts")
    if choice.prediction is None or len(set(choice.prediction.measured.sets)) < FEWEST_SETS:
        st.info(
            f"At least {FEWEST_SETS} measured sets of demonstrations are needed to leave some out and predict them.",
            icon=":material/info:",
        )
    else:
        _of_these_texts(choice)
    choices_record(choice.run.prompts)


def _of_these_texts(choice: PromptChoice) -> None:
    found = _quality(choice.key)
    own = found.surrogates[0]
    covered = dict(zip(LEVELS, found.covered, strict=True))[0.9]
    st.markdown(
        f"Prompts that were left out are predicted with **{own.error:.0%}** of the error of always saying the mean, "
        f"and ranked with a correlation of **{own.rank:.2f}**. Of the 90% intervals **{covered:.0%}** hold what was "
        "measured."
    )
    table, chart = frame.panels(2, 380)
    with table:
        show_table(
            pd.DataFrame(
                {
                    "surrogate": [_NAMES.get(one.name, one.name) for one in found.surrogates],
                    "error": [one.error for one in found.surrogates],
                    "rank": [one.rank for one in found.surrogates],
                    "LDS": [one.lds for one in found.surrogates],
                }
            ),
            hide_index=True, alt="How well surrogates predict prompts of these texts that were left out",
            column_config={
                "error": st.column_config.NumberColumn(
                    format="%.2f", help="Root mean square error of the mean outcome, over that of the mean"
                ),
                "rank": st.column_config.NumberColumn(format="%.2f", help="Rank correlation of the mean outcome"),
                "LDS": st.column_config.NumberColumn(
                    format="%.2f", help="Mean over queries of the rank correlation over prompts"
                ),
            },
        )  # fmt: skip
        st.caption(
            f"{FOLDS}-fold cross-validation over {found.sets:,} sets of demonstrations, {found.prompts:,} prompts in "
            "all; all orders of a set are left out together. Prompts that are searched for are harder to predict "
            "than these, which were drawn at random."
        )
    with chart:
        levels, shares = (np.array(values, dtype=np.float64) for values in (LEVELS, found.covered))
        frame.show(calibration_plot(levels, shares, found.sets, dark=frame.is_dark()), "demo_calibration")


@st.cache_data(max_entries=64, show_spinner=False)
def _quality(key: str) -> Quality:
    """The quality of predictions of a `PromptChoice.key`: computed once and kept, with a bar meanwhile."""
    measured = known_prediction(key).measured
    bar = st.progress(0.0, text=_WAIT)

    def progress(share: float) -> None:
        bar.progress(share, text=_WAIT)

    def compute() -> dict[str, Any]:
        found = cross_validated(measured, progress)
        return {
            "surrogates": [(one.name, one.error, one.rank, one.lds) for one in found.surrogates],
            "sets": found.sets, "prompts": found.prompts, "covered": list(found.covered),
            "beats_mean": found.beats_mean,
        }  # fmt: skip

    content = (
        measured.orders, measured.values, measured.by_query, measured.labels, measured.ordered,
        measured.higher_is_better,
    )  # fmt: skip
    found = Store().chunk(QUALITY_CHUNKS, content, compute)
    bar.empty()
    surrogates = tuple(SurrogateQuality(*row) for row in found["surrogates"])
    return Quality(surrogates, found["sets"], found["prompts"], tuple(found["covered"]), found["beats_mean"])
