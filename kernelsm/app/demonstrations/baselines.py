"""Demonstrations: what a prompt is compared with: guessing, no demonstration, nearest ones, mean and best prompt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import streamlit as st

from kernelsm.app.demonstrations import work_under_way
from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.shell import rights, session
from kernelsm.app.shell.job_panel import job_panel, registry, started
from kernelsm.app.shell.owner import owner
from kernelsm.examples.catalog import load_zero_shot
from kernelsm.pipelines.nearest_prompts import NearestSettings
from kernelsm.pipelines.zero_shot import ZeroShotSettings
from kernelsm.runtime.near_ties import first_least
from kernelsm.runtime.started_jobs import kind_of
from kernelsm.surrogates.wording import number
from kernelsm.workspace.prompt_projects import PROMPTS, find_prompts

GUESSING = "Guessing"
NEAREST = "Nearest for each query"
# the unit of a loss that counts them, as kernelsm.prompts.asked has it, which imports torch
_GRADED = "wrong answers"


@dataclass(frozen=True)
class Baseline:
    """A mean loss and the share of right answers, NaN where it is not known."""

    name: str
    loss: float
    accuracy: float = math.nan


def zero_shot(source: str, part: str = "queries", *, calibrated: bool = False) -> Baseline | None:
    """Return what the model says without demonstrations of the queries, or of fresh ones; None if not asked.

    Where a run is calibrated so is what it is compared with.
    """
    found = None if calibrated else load_zero_shot(source)  # those of the examples are not
    if found is None:
        status = registry().status(ZeroShotSettings(source, calibrated=calibrated).job().key)
        found = status.result if status and status.state == "done" else None
    values = (found or {}).get(part)
    name = "No demonstration, calibrated" if calibrated else "No demonstration"
    return Baseline(name, *map(float, values)) if values else None


def nearest(source: str, part: str = "queries") -> Baseline | None:
    """Return what the model says after a prompt for each query, or fresh query, of its own; None if not asked."""
    values = (nearest_result(source) or {}).get(part)
    return Baseline(NEAREST, *map(float, values)) if values else None


def nearest_result(source: str) -> dict[str, Any] | None:
    """Return what the job has found that asks after nearest prompts, within whatever limits; None if not asked."""
    spec = NearestSettings(source).job()
    # limits are part of a job's key, not of its kind
    bounded = (job.key for job in started().of(owner()) if job.kind == kind_of(spec))
    for key in (spec.key, *bounded):
        status = registry().status(key)
        if status is not None and status.state == "done" and status.result:
            return status.result
    return None


def baselines(choice: PromptChoice) -> list[Baseline]:
    """Return what a prompt is compared with, on the queries that it is chosen by."""
    C, by_right = len(choice.task.labels), choice.by_right
    choice = choice.of_outcome
    if not choice.is_loss:
        return [Baseline("The mean prompt", choice.mean_prompt)]
    found = [Baseline(f"{GUESSING} among {C} labels", _guessed(choice, C), 1 / C)] if C else []
    if (empty := zero_shot(choice.run.prompts, calibrated=choice.calibrated)) is not None:
        found.append(empty)
    if not choice.calibrated and (own := nearest(choice.run.prompts)) is not None:
        found.append(own)
    asked = choice.prediction.measured if choice.prediction else None
    right = asked.right if asked else None
    mean_right = math.nan if right is None else float(right.mean())
    found.append(Baseline("The mean prompt", choice.mean_prompt, mean_right))
    if asked is not None:
        best = first_least(asked.values if right is None or not by_right else -right)
        best_right = math.nan if right is None else float(right[best])
        found.append(Baseline(f"The best of {len(asked.values):,} asked", float(asked.values[best]), best_right))
    return found


def _guessed(choice: PromptChoice, labels: int) -> float:
    """The loss of guessing: of an endpoint that gives answers alone, the share of wrong ones."""
    return 1 - 1 / labels if choice.run.outcomes.meta.get("unit") == _GRADED else math.log(labels)


def three_digits(value: float) -> str:
    """A number with three significant digits, zeros at its end among them, as numbers in a column have."""
    return f"{value:#.3g}" if 1e-3 <= abs(value) < 100 else number(value)


def show_baselines(choice: PromptChoice) -> None:
    """Draw them as a small table, and offer to ask without demonstrations where that was not done."""
    rows = [
        f"| {one.name} | {three_digits(one.loss)} | {'' if math.isnan(one.accuracy) else f'{one.accuracy:.0%}'} |"
        for one in baselines(choice)
    ]
    right = any(not row.endswith("|  |") for row in rows)
    head = [f"| To compare with | {choice.run.unit} | {'right' if right else ''} |", "|:--|--:|--:|"]
    with st.container(key="demo_baselines"):
        st.markdown("\n".join([*head, *rows]))
        if choice.of_outcome.of_new_queries:
            st.caption(f"Measured on the {len(choice.task.queries)} queries that prompts are chosen by.")
    if choice.of_outcome.is_loss:
        ask_zero_shot(choice.run.prompts, calibrated=choice.calibrated)


def ask_zero_shot(source: str, *, calibrated: bool = False) -> None:
    """Offer to ask without demonstrations, where that was not done and is this visitor's to do."""
    if zero_shot(source, calibrated=calibrated) is None and rights.may_ask(source):
        settings = ZeroShotSettings(source, calibrated=calibrated)
        work_under_way.drawn(settings.job().key)
        if (cost := settings.cost()) is not None:
            st.caption(f"Without demonstrations: {cost.calls:,} calls of the endpoint, about {cost.tokens:,} tokens.")
        title = session.titles(PROMPTS).get(source, find_prompts(source).title)
        job_panel(settings.job(), settings.seconds(), title, start="Ask without demonstrations", key="demo_zero_shot")
