"""Demonstrations: prompts estimated to first order, whose error is shown before their table can be used."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st

from kernelsm.app.demonstrations import work_under_way
from kernelsm.app.shell import disk
from kernelsm.app.shell.job_panel import job_panel, open_result, registry
from kernelsm.app.shell.open_runs import Run, open_run
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.pipelines.ask_model import PromptSettings
from kernelsm.pipelines.prompt_estimates import CHECK, ESTIMATOR, MOST_ANCHORS, EstimateSettings
from kernelsm.prompts.first_order_check import FEWEST, Combine, PromptFirstOrderCheck
from kernelsm.runtime.errors import InputError

_COMBINE: dict[str, Combine] = {"Nearest anchor": "nearest", "Mean of all": "mean"}
_MOST_CHECKED = 200
_LOW_RANK = 0.5
_ONE_SIDED_95 = 1.645


def estimates(prompts: PromptSettings, title: str) -> None:
    """Offer to estimate prompts to first order; the measured error is shown above the button that uses them.

    Parameters
    ----------
    prompts : PromptSettings
        The prompts that would be scored exactly otherwise.
    title : str
        What the texts are called.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        anchors = int(
            st.number_input(
                "Anchors", 1, MOST_ANCHORS, 4, key="demo_anchors", persist_state="session",
                help="Random prompts at which the model's gradient is taken. Each takes as long as scoring some "
                "fourteen prompts.",
            )
        )  # fmt: skip
        combine = st.segmented_control(
            "Combine", list(_COMBINE), key="demo_combine", default="Nearest anchor", required=True,
            persist_state="session",
            help="Estimate each prompt from the anchor that is most like it, or from the mean of all anchors.",
        )  # fmt: skip
        most_checked = int(
            st.number_input(
                "Checked exactly", FEWEST, _MOST_CHECKED, 20, key="demo_checked", persist_state="session",
                help="So many of the prompts are scored by the model as well. More say better how far off the "
                "estimates are.",
            )
        )  # fmt: skip
    checked = min(most_checked, prompts.subsets)
    settings = EstimateSettings(
        prompts.source, subsets=prompts.subsets, orders=prompts.orders, seed=prompts.seed, anchors=anchors,
        combine=_COMBINE[str(combine)], checked=checked,
    )  # fmt: skip
    st.caption(
        f"The model is asked at {_count(anchors, 'anchor prompt')} how its answers would change with each "
        f"demonstration (its gradient). All {prompts.subsets:,} prompts are then estimated along straight lines from "
        f"there, without asking it again. On small models this is crude, so {checked} of them are scored exactly as "
        "well, and you see the error before you use anything."
    )
    spec = settings.job()
    work_under_way.drawn(spec.key)
    job_panel(spec, settings.seconds(), "", start="Estimate and check", cancel="Cancel", key="demo_estimate")
    status = registry().status(spec.key)
    if status and status.state == "done" and status.result:
        _finished(status.result, settings, title)


def _finished(result: dict[str, Any], settings: EstimateSettings, title: str) -> None:
    """Show the error first, then the button."""
    check = PromptFirstOrderCheck.from_json(result["check"])
    st.markdown(
        f"**How far off are they?** {check.subsets} prompts were scored by the model and estimated from "
        f"{_count(check.anchors, 'anchor prompt')}:"
    )
    show_table(
        pd.DataFrame(
            {
                "measure": [
                    "Ranks of prompts by their mean loss (Spearman)", "Ranks of prompts for each query (LDS)",
                    "Error of the mean loss, relative",
                ],
                "first order": [_number(check.spearman), _number(check.lds), _share(check.relative_error)],
                "beside it": [
                    f"1 is right, 0 is chance; chance alone gives up to {_by_chance(check):.2f}",
                    "1 is right, 0 is chance",
                    f"always saying the mean of these prompts: {_share(check.error_of_mean)}",
                ],
            }
        ),
        hide_index=True, alt="How far first-order estimates are from what the model says",
    )  # fmt: skip
    sentence = verdict(check)
    if trusted(check):
        st.info(sentence, icon=":material/info:")
    else:
        st.warning(sentence, icon=":material/warning:")
    st.button(
        "Use these estimates", icon=":material/visibility:", key="demo_estimate_use", on_click=_use,
        args=(result["estimates"], f"{title}: {settings.subsets} prompts estimated, seed {settings.seed}"),
    )  # fmt: skip


@disk.callback
def _use(run: str, title: str) -> None:
    open_run.clear(run)  # the same estimates may have been checked on fewer prompts before
    open_result(run, title)


def verdict(check: PromptFirstOrderCheck) -> str:
    """Say in plain words what estimates with this check are good for."""
    beats_mean = check.relative_error < check.error_of_mean
    size = (
        "These estimates are nearer to the loss than always saying its mean"
        if beats_mean
        else "These estimates say nothing about the size of the loss (always saying its mean is no worse)"
    )
    if not check.spearman >= _LOW_RANK:  # also where there is no rank correlation
        return f"{size} {'but' if beats_mean else 'and'} rank prompts poorly: score exactly."
    if check.spearman < _by_chance(check):
        return f"{size}. {check.subsets} prompts are too few to tell whether they rank prompts: check more exactly."
    off = "" if beats_mean else " Predicted losses will be off."
    return f"{size}. They do rank prompts: use them to find good ones, and check those with the model.{off}"


def trusted(check: PromptFirstOrderCheck) -> bool:
    """Whether nothing speaks against using estimates with this check."""
    ranked = check.spearman >= max(_LOW_RANK, _by_chance(check))
    return ranked and check.relative_error < check.error_of_mean


def estimates_note(run: Run) -> None:
    """Say of a table of estimates that it is one, and how far off it is."""
    meta = run.outcomes.meta
    if meta.get("estimator") != ESTIMATOR:
        return
    try:
        check = PromptFirstOrderCheck.from_json(meta.get(CHECK))
    except InputError:  # a file may say anything of itself
        st.warning(
            "These outcomes are first-order estimates, not what the model said; how far off they are is not known.",
            icon=":material/warning:",
        )
        return
    st.warning(
        f"These outcomes are first-order estimates, not what the model said. On {check.subsets} prompts that it was "
        f"asked about: rank correlation {_number(check.spearman)}, relative error {_share(check.relative_error)} "
        f"(always saying the mean: {_share(check.error_of_mean)}).",
        icon=":material/warning:",
    )


def _by_chance(check: PromptFirstOrderCheck) -> float:
    """Rank correlation that unrelated rankings stay below 19 times in 20, roughly."""
    return min(1.0, _ONE_SIDED_95 / math.sqrt(check.subsets - 1))


def _number(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.2f}"


def _share(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.1%}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' if number != 1 else ''}"
