"""One reading of a table: the fit of one target that settings name, and all that is read off it, with verdicts.

Pages, reports, notebooks and the command line show the same numbers because all of them come from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from kernelsm.outcomes.measured_word import measured_word
from kernelsm.outcomes.table import Outcomes
from kernelsm.surrogates.auto import AutoSurrogate
from kernelsm.surrogates.base import AttributionKind, InteractionKind, Surrogate
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.surrogates.linear import LinearSurrogate, LinearSurrogateCV
from kernelsm.surrogates.results import Attribution, Interactions
from kernelsm.surrogates.subset_distributions import Indices
from kernelsm.surrogates.verdicts import Verdicts, what_matters
from kernelsm.surrogates.wording import Verdict

MEAN_TARGET = "mean over targets"
# more subsets would choose hardly better, and somebody waits for it: an eigendecomposition per γ
TUNING_ROWS = 500
_MOST_INTERVALS = 1.5e9


@dataclass(frozen=True)
class Readout:
    """What is read off a surrogate of one target, and the verdicts that all sentences, charts and lists share.

    Parameters
    ----------
    attribution, interactions
        Of one target.
    matters : float
        How large an effect must be to matter (see `what_matters`).
    task_verdicts : ndarray of int8, shape (K,)
        `Verdict` of each task.
    pair_verdicts : ndarray of int8, shape (K, K)
        `Verdict` of each pair; "unclear" are those too weak to be tested, and the diagonal.
    tested : int
        How many pairs were tested, the strongest.
    """

    attribution: Attribution
    interactions: Interactions
    matters: float
    task_verdicts: Verdicts
    pair_verdicts: Verdicts
    tested: int

    @cached_property
    def clear(self) -> NDArray[np.bool_]:
        """Pairs that can be told from zero, shape (K, K)."""
        return np.asarray(self.pair_verdicts == Verdict.CLEAR)

    @cached_property
    def ranked_pairs(self) -> tuple[Indices, Indices]:
        """Tasks of the pairs that were tested: those told from zero by size, then the others by size."""
        first, second = self.interactions.strongest(max(self.tested, 1))
        clear = self.clear[first, second]
        order = np.concatenate([np.flatnonzero(clear), np.flatnonzero(~clear)])
        return first[order], second[order]


def of_target(outcomes: Outcomes, target: str) -> Outcomes:
    """Outcomes of one target, or of the mean over targets for ""."""
    if target:
        return outcomes.target(target)
    return outcomes if outcomes.q == 1 else outcomes.mean_target(MEAN_TARGET)


def fixed_size_of(outcomes: Outcomes) -> int | None:
    """Number of tasks of every subset, if all have the same (and neither none nor all)."""
    sizes = np.unique(outcomes.masks.sum(axis=1))
    return int(sizes[0]) if len(sizes) == 1 and 0 < sizes[0] < outcomes.K else None


def usual_readout(outcomes: Outcomes) -> str:
    """The readout that suits a table: with subsets of one size leave-one-out lies far from the data."""
    return "inclusion" if fixed_size_of(outcomes) else "leave_one_out"


def pair_readout_of(outcomes: Outcomes, readout: str) -> tuple[InteractionKind, int | None]:
    """Kind and size of the interactions of a readout; no size where subsets of the table's have no room for pairs."""
    if readout == "leave_one_out":
        return "second_difference", None
    size = fixed_size_of(outcomes) if readout == "inclusion" else None
    # pairs need room for both tasks in a subset, and outside of it
    fits = size is not None and 2 <= size <= outcomes.K - 2
    return cast(InteractionKind, readout), size if fits else None


def task_size_of(outcomes: Outcomes, readout: str) -> int | None:
    """Size of the subsets that attributions of a readout average over; None where it has none."""
    return fixed_size_of(outcomes) if readout == "inclusion" else None


def new_surrogate(kernel: str, gamma: float | None, ridge: float) -> Surrogate:
    """An unfitted surrogate of these settings; "tuned_linear" is the baseline that all are compared with."""
    if kernel == "auto":
        return AutoSurrogate(tuning_rows=TUNING_ROWS)
    if kernel == "tuned_linear":
        return LinearSurrogateCV()
    if kernel == "linear":
        return LinearSurrogate(ridge=ridge)
    return KernelSurrogate(kernel="poly" if kernel == "poly" else "rbf", gamma=gamma, ridge=ridge, coef0=1.0)


def own_scale_surrogate() -> AutoSurrogate:
    """The default surrogate for effects, which are read off the outcome's own scale alone."""
    return AutoSurrogate(scales=("identity",), tuning_rows=TUNING_ROWS)


def fit_of_target(outcomes: Outcomes, target: str, kernel: str, gamma: float | None, ridge: float) -> Surrogate:
    """Fit the surrogate that settings name to one target of a table; "" is the mean over targets."""
    if kernel != "auto":
        return new_surrogate(kernel, gamma, ridge).fit_outcomes(of_target(outcomes, target))
    if target:
        return own_scale_surrogate().fit_outcomes(outcomes).on_own_scale().of_target(target)
    # fitted to the mean itself: noise that the targets have in common would be missed by adding theirs up
    return own_scale_surrogate().fit_outcomes(of_target(outcomes, target))


def read_surrogate(surrogate: Surrogate, outcomes: Outcomes, target: str, readout: str) -> Readout:
    """Read a fitted surrogate of one target off.

    Parameters
    ----------
    surrogate : Surrogate
        Fitted to `outcomes`, for one target.
    outcomes : Outcomes
        The whole table.
    target : str
        "" is the mean over targets.
    readout : {"leave_one_out", "inclusion", "shapley"}
    """
    size = task_size_of(outcomes, readout)
    attribution = surrogate.attribution(cast(AttributionKind, readout), size=size)
    kind, size = pair_readout_of(outcomes, readout)
    matters = what_matters(of_target(outcomes, target).values, outcomes.K)
    interactions = surrogate.interactions(kind, size=size)
    # sentences say what is measured; loss and score they know themselves
    word = measured_word(outcomes)
    measure = {} if word in ("loss", "score") else {"measure": word}
    attribution = replace(attribution, matters=matters, meta={**attribution.meta, **measure})
    interactions = replace(interactions, matters=matters, meta={**interactions.meta, **measure})
    # intervals cost m² each: of many subsets only the strongest pairs are tested
    most = int(np.clip(_MOST_INTERVALS / outcomes.m**2, 300, 5000))
    return Readout(
        attribution, interactions, float(matters[0]), attribution.verdicts(), interactions.verdicts(most=most),
        min(most, outcomes.K * (outcomes.K - 1) // 2),
    )  # fmt: skip
