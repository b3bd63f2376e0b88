"""Attribution methods against one truth: LDS, agreement with leave-one-out and time, paired with the default's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from kernelsm.evaluation.comparison import PairedGain, paired_gain
from kernelsm.evaluation.leave_one_out import effect_correlations
from kernelsm.evaluation.leave_one_out_agreement import LeaveOneOutAgreement, leave_one_out_agreement
from kernelsm.evaluation.metrics import lds
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import first_greatest, rising, tolerance_of

Array = NDArray[np.float64]
REFERENCE = "default"
"""The method that all others are paired with."""


@dataclass(frozen=True)
class MethodAnswer:
    """What one method said, and how long it took.

    Parameters
    ----------
    title : str
        As people call it.
    effects : ndarray, shape (K, q)
        F(with) - F(without) of each task.
    predicted : ndarray, shape (m, q)
        Of the held-out subsets.
    seconds : float
        Processor time from what the method needs (outcomes, features or a network) to its effects and predictions;
        NaN where parts of it were there already and nobody kept how long they took.
    has_pairs, has_intervals : bool
        Whether it says anything about pairs, and how sure it is.
    """

    title: str
    effects: Array
    predicted: Array
    seconds: float
    has_pairs: bool = False
    has_intervals: bool = False

    @property
    def cannot_say(self) -> str:
        """What it has no answer to, in words; "" where it answers all."""
        missing = [
            words for has, words in ((self.has_pairs, "pairs"), (self.has_intervals, "how sure it is")) if not has
        ]
        return " and ".join(missing)


@dataclass(frozen=True)
class MethodScore:
    """How one method did, beside the default surrogate.

    Parameters
    ----------
    name, title : str
    lds : float
        On the held-out subsets.
    leave_one_out : float or None
        Correlation over tasks of its effects with leave-one-out, the mean over targets; None where there is none.
    top5 : float or None
        Share of each target's five strongest tasks that it has among its own, the mean over targets.
    seconds : float
    lds_gain, leave_one_out_gain, top5_gain : PairedGain or None
        Its score minus that of the default surrogate, with a 90 % interval over subsets, tasks and targets; None for
        the default itself, and where there is no truth.
    cannot_say : str
    agreement : LeaveOneOutAgreement or None
        The correlation with leave-one-out with its interval, target by target, and of the mean over targets.
    """

    name: str
    title: str
    lds: float
    leave_one_out: float | None
    top5: float | None
    seconds: float
    lds_gain: PairedGain | None = None
    leave_one_out_gain: PairedGain | None = None
    top5_gain: PairedGain | None = None
    cannot_say: str = ""
    agreement: LeaveOneOutAgreement | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON types; intervals as (gain, low, high)."""
        gains = {
            key: None if gain is None else [gain.gain, gain.low, gain.high]
            for key, gain in (
                ("lds_gain", self.lds_gain), ("leave_one_out_gain", self.leave_one_out_gain),
                ("top5_gain", self.top5_gain),
            )
        }  # fmt: skip
        return {
            "title": self.title, "lds": self.lds, "leave_one_out": self.leave_one_out, "top5": self.top5,
            "seconds": None if np.isnan(self.seconds) else self.seconds, **gains, "cannot_say": self.cannot_say,
            "agreement": None if self.agreement is None else self.agreement.to_json(),
        }  # fmt: skip


def score_methods(
    answers: Mapping[str, MethodAnswer], truth: ArrayLike, leave_one_out: ArrayLike | None = None
) -> list[MethodScore]:
    """Score methods on the same held-out subsets and the same leave-one-out, best LDS first.

    Parameters
    ----------
    answers : mapping of str to MethodAnswer
        With one of the name "default", which the others are paired with.
    truth : array-like, shape (m, q)
        Outcomes of the held-out subsets.
    leave_one_out : array-like, shape (K, q), optional
        F(all tasks) - F(all but k), measured.

    Raises
    ------
    InputError
        There is no default surrogate among them, or shapes differ.
    """
    if REFERENCE not in answers:
        raise InputError("methods", ", ".join(answers) or "none", f"{REFERENCE!r} among them", "Add it.")
    reference, found = answers[REFERENCE], []
    effects = None if leave_one_out is None else np.asarray(leave_one_out, dtype=np.float64)
    for name, answer in answers.items():
        if effects is not None and answer.effects.shape != effects.shape:
            place = f"effects of {answer.title}"
            raise InputError(place, f"shape {answer.effects.shape}", f"{effects.shape}", "Name the same tasks.")
        itself = name == REFERENCE
        agreement = None if effects is None else leave_one_out_agreement(effects, answer.effects)
        found.append(
            MethodScore(
                name, answer.title, lds(truth, answer.predicted),
                None if agreement is None else agreement.mean,
                None if effects is None else float(np.nanmean(top_overlaps(effects, answer.effects))),
                answer.seconds,
                None if itself else paired_gain(truth, answer.predicted, reference.predicted),
                None if itself or effects is None else correlation_gain(effects, answer.effects, reference.effects),
                None if itself or effects is None else overlap_gain(effects, answer.effects, reference.effects),
                answer.cannot_say,
                agreement,
            )
        )  # fmt: skip
    order = rising([-np.nan_to_num(one.lds, nan=-2.0) for one in found])
    return [found[i] for i in order]


def verdict(scores: list[MethodScore], unit: str = "held-out subsets") -> str:
    """Say which method predicts best, or that the best cannot be told from the default surrogate."""
    default = next(one for one in scores if one.name == REFERENCE)
    # another readout of the default surrogate predicts the same
    others = [
        (one, one.lds_gain) for one in scores if one.lds_gain is not None and one.lds_gain.low < one.lds_gain.high
    ]
    if not others:
        return f"On {unit} the default surrogate has an LDS of {default.lds:.3f}; there is nothing beside it."
    better = [(one, gain) for one, gain in others if gain.low > 0]
    if better:
        best, gain = better[first_greatest([one.lds for one, _ in better])]
        return (
            f"On {unit}, {best.title} predicts better than the default surrogate: LDS {best.lds:.3f} against "
            f"{default.lds:.3f}, a gain of {gain.gain:.3f} ({gain.low:.3f} to {gain.high:.3f})."
        )
    tied = [one.title for one, gain in others if not gain.high < 0]
    if tied:
        names = ", ".join(tied[:3]) + (f" and {len(tied) - 3} more" if len(tied) > 3 else "")
        return (
            f"On {unit} no method predicts better than the default surrogate (LDS {default.lds:.3f}); {names} cannot "
            "be told from it."
        )
    nearest, gain = others[first_greatest([one.lds for one, _ in others])]
    return (
        f"On {unit} the default surrogate predicts best: LDS {default.lds:.3f}, {-gain.gain:.3f} "
        f"({-gain.high:.3f} to {-gain.low:.3f}) above {nearest.title}, the next."
    )


def top_overlaps(truth: ArrayLike, found: ArrayLike, n: int = 5) -> Array:
    """Share of the `n` truly strongest tasks that are among the `n` strongest found, target by target, (q,)."""
    true, guess = (np.abs(np.asarray(side, dtype=np.float64)) for side in (truth, found))
    n = min(n, len(true))

    def strongest(effects: Array) -> set[int]:
        return set(rising(-effects, tolerance=tolerance_of(effects))[:n].tolist())

    return np.array(
        [len(strongest(a) & strongest(b)) / n for a, b in zip(true.T, guess.T, strict=True)], dtype=np.float64
    )


def correlation_gain(truth: Array, first: Array, second: Array, *, level: float = 0.9) -> PairedGain:
    """Mean correlation with leave-one-out of one method minus that of another, with the jackknife's interval.

    The interval says how far the difference depends on which tasks there are; NaN with fewer than 4 tasks.
    """

    def score(effects: Array, rows: NDArray[np.bool_]) -> float:
        return float(np.nanmean(effect_correlations(truth[rows], effects[rows])))

    K = len(truth)
    everything = np.ones(K, dtype=np.bool_)
    scores = score(first, everything), score(second, everything)
    gain = scores[0] - scores[1]
    if K < 4:
        return PairedGain(gain, np.nan, np.nan, *scores)
    left = ~np.eye(K, dtype=np.bool_)
    jackknifed = np.array([score(first, rows) - score(second, rows) for rows in left])
    margin = float(t.ppf((1 + level) / 2, K - 1) * np.sqrt((K - 1) * jackknifed.var()))
    return PairedGain(gain, gain - margin, gain + margin, *scores)


def overlap_gain(truth: Array, first: Array, second: Array, *, level: float = 0.9) -> PairedGain:
    """Mean overlap of the five strongest tasks of one method minus that of another, paired by target.

    The interval is Student's t over targets; NaN with fewer than 3.
    """
    each = top_overlaps(truth, first), top_overlaps(truth, second)
    difference, q = each[0] - each[1], truth.shape[1]
    gain, scores = float(difference.mean()), (float(each[0].mean()), float(each[1].mean()))
    if q < 3:
        return PairedGain(gain, np.nan, np.nan, *scores)
    margin = float(t.ppf((1 + level) / 2, q - 1) * difference.std(ddof=1) / np.sqrt(q))
    return PairedGain(gain, gain - margin, gain + margin, *scores)
