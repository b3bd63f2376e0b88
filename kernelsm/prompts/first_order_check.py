"""Can first-order scoring of prompts be trusted on this model? Exact outcomes of a few subsets say."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np

from kernelsm.evaluation.metrics import relative_error
from kernelsm.evaluation.truth import score_estimates
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.checks import check_number, check_whole
from kernelsm.runtime.errors import InputError

Combine = Literal["nearest", "mean"]
"""What several anchor prompts say of a prompt: what the one nearest to it says, or the mean of all."""
FEWEST = 3
"""Subsets that have ranks to compare."""
_RANGES: dict[str, tuple[float, float]] = {
    "subsets": (FEWEST, 10**6), "anchors": (1, 10**6), "spearman": (-1.001, 1.001), "lds": (-1.001, 1.001),
    "relative_error": (0.0, 1e9), "error_of_mean": (0.0, 1e9),
}  # fmt: skip


@dataclass(frozen=True)
class PromptFirstOrderCheck:
    """What exact outcomes say about first-order estimates of the same subsets.

    Parameters
    ----------
    subsets, anchors : int
        How many were compared, and how many anchors the estimates had.
    spearman, relative_error : float
        Of the outcome averaged over queries.
    lds : float
        Mean over queries of the rank correlation over subsets.
    error_of_mean : float
        Relative error of saying the mean exact outcome for every subset: an estimate that is not below it says
        nothing about the size of outcomes, though it may still rank them.
    """

    subsets: int
    anchors: int
    spearman: float
    lds: float
    relative_error: float
    error_of_mean: float

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Any) -> PromptFirstOrderCheck:
        """Read the output of `to_json`, or whatever a file holds in its place.

        Raises
        ------
        InputError
            Something is missing, of another type, or out of its range.
        """
        known = content if isinstance(content, dict) else {}
        names = [field.name for field in fields(cls)]
        for name in names:
            value: Any = known.get(name)
            low, high = _RANGES[name]
            if isinstance(low, int):
                check_whole(f"check, {name}", value, low, int(high), fix="Score the prompts anew.")
            # where all checked outcomes were equal there is no rank correlation
            elif not (isinstance(value, float) and math.isnan(value)):
                check_number(f"check, {name}", value, least=low, most=high, fix="Score the prompts anew.")
        return cls(**{name: known[name] for name in names})


def prompt_first_order_check(truth: Outcomes, estimates: Outcomes) -> PromptFirstOrderCheck:
    """Compare exact outcomes of `Prompting` with estimates of `FirstOrder` for the same subsets and orders.

    Parameters
    ----------
    truth, estimates : Outcomes
        Of the same masks, queries and measure.

    Raises
    ------
    InputError
        Fewer than 3 subsets, or tables that do not belong together.
    """
    if truth.m < FEWEST:
        raise InputError("truth", f"{truth.m} subsets", f"at least {FEWEST}", "Score more subsets exactly.")
    if not np.array_equal(truth.masks, estimates.masks):
        raise InputError("estimates", "other subsets", "those of the truth", "Estimate the same masks.")
    for entry in ("task", "weights", "orders", "seed", "queries", "measure"):
        known, found = truth.meta.get(entry), estimates.meta.get(entry)
        if known != found:
            fix = "Score both with the same task, model and settings."
            raise InputError(f"estimates, {entry}", repr(found)[:80], repr(known)[:80], fix)
    scores = score_estimates(truth, estimates)
    overall = truth.mean_target().values
    return PromptFirstOrderCheck(
        subsets=truth.m,
        anchors=len(estimates.meta.get("anchors", ())),
        error_of_mean=relative_error(overall, np.full_like(overall, overall.mean())),
        **{name: scores[name] for name in ("spearman", "lds", "relative_error")},
    )
