"""Results that several test files take away: of the planted game, of nasty names, of one task."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from kernelsm import Outcomes, load_example, load_truth
from kernelsm.export.result import Result, Settings, result_of

EVIL_TASK = "</script><img src=x onerror=\"document.title='owned'\">"
EVIL_TARGET = "{{ 7*7 }}<b>target</b>"


@lru_cache
def planted() -> Result:
    outcomes = load_example("planted")
    return result_of(
        outcomes, Settings.checked(outcomes), title="Planted game", table="planted", is_example=True,
        truth=load_truth("planted"), truth_is="the game without noise",
    )  # fmt: skip


def small_table(K: int = 5, m: int = 60, q: int = 1, **named: object) -> Outcomes:
    rng = np.random.default_rng(0)
    masks = rng.random((m, K)) < 0.5
    values = masks @ np.linspace(-1, 1, K) + 0.8 * (masks[:, 0] & masks[:, -1]) + rng.normal(0, 0.02, m)
    return Outcomes(masks, np.stack([values * (j + 1) for j in range(q)], axis=1), **named)


@lru_cache
def evil() -> Result:
    """Names that would be markup, a formula, or the end of a script, were they not text."""
    names = [EVIL_TASK, "=1+1", "<b>bold</b>", "task", "&amp; <svg/onload=1>"]
    outcomes = small_table(q=2, task_names=names, target_names=[EVIL_TARGET, "plain"])
    return result_of(
        outcomes, Settings.checked(outcomes, target=EVIL_TARGET), title="<h1>title</h1>", table="my table.csv",
        is_example=False, link="https://example.org/explore?run=x&target=y",
    )  # fmt: skip


def one_task() -> Result:
    outcomes = small_table(K=1, m=12)
    return result_of(outcomes, Settings.checked(outcomes), title="One", table="one.csv", is_example=False)
