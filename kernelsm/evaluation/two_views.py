"""Two views side by side: effects of the tasks that both have, their difference with its interval, and their order.

How sure the difference is depends on what the two have in common, and `How` says which case it is:

- one fit, read off in two ways: both are functions of the same g, so the difference has the posterior variance of the
  difference of the two functionals;
- the same subsets, surrogate and readout: the difference of the outcomes is itself an outcome, and is fitted as one,
  so that all that the two share cancels, in the effects and in the noise;
- the same subsets and anything else, such as another surrogate, or the first subsets of the other: subsets are left
  out of both fits in turn (the jackknife, `rows_left_out`);
- other subsets: the two are independent, and their variances add.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import cast

import numpy as np

from kernelsm.evaluation.rank_agreement import RankAgreement, rank_agreement
from kernelsm.evaluation.rows_left_out import RowsLeftOut
from kernelsm.evaluation.views import Matched, View, begins_the_other, matched_tasks, rows_in_common
from kernelsm.outcomes.repeated_rows import rows_agree
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.near_ties import mean_ranks, rising, tolerance_of
from kernelsm.surrogates.base import AttributionKind, Surrogate
from kernelsm.surrogates.contrasts import contrast_variance, pair_contrast_variance
from kernelsm.surrogates.reading import fit_of_target, pair_readout_of, task_size_of
from kernelsm.surrogates.results import Attribution, interval_quantile
from kernelsm.surrogates.subset_distributions import Array, Indices
from kernelsm.surrogates.verdicts import Verdicts, told_from_zero, verdicts

_MOST_PAIRS = 300


class How(Enum):
    """What the interval of a difference rests on."""

    ONE_FIT = "one fit"
    DIFFERENCES = "differences"
    ROWS_LEFT_OUT = "rows left out"
    APART = "apart"


@dataclass(frozen=True, eq=False)
class Differences:
    """Effects by two views and the first less the second.

    Parameters
    ----------
    first, second, values : ndarray, shape (n,)
        F(with) - F(without) by either, and the difference. Where differences are fitted by the default surrogate,
        which chooses anew, these are not exactly the first less the second.
    std : ndarray, shape (n,)
        Of the difference; NaN where it is not known.
    degrees_of_freedom : float
        What it was estimated from.
    verdicts : ndarray of int8, shape (n,)
        `Verdict` of each difference, with all of them in mind.
    """

    first: Array
    second: Array
    values: Array
    std: Array
    degrees_of_freedom: float
    verdicts: Verdicts

    @property
    def margin(self) -> Array:
        """Half the width of each 90 % interval, shape (n,)."""
        return interval_quantile(self.degrees_of_freedom) * self.std

    @property
    def by_size(self) -> Indices:
        """Places of the differences, the largest first."""
        return rising(-np.abs(self.values), tolerance=tolerance_of(np.concatenate([self.values, self.first])))


@dataclass(frozen=True, eq=False)
class PairDifferences:
    """Interactions by two views: of the pairs (j, k), places among the matched tasks, j < k.

    Parameters
    ----------
    j, k : ndarray of int, shape (P,)
        Of many pairs the strongest by either view.
    total : int
        How many pairs there are.
    found : Differences
    """

    j: Indices
    k: Indices
    total: int
    found: Differences


@dataclass(frozen=True, eq=False)
class TwoViews:
    """What `compare_views` found.

    Parameters
    ----------
    views : (View, View)
    tasks : Matched
        Everything below is about these, in this order.
    effects : (ndarray, ndarray), shape (n,) each
        F(with) - F(without), each in its own unit.
    margins : (ndarray, ndarray), shape (n,) each
        Half the widths of their 90 % intervals.
    ranks : (ndarray, ndarray), shape (n,) each
        1 is the task that helps most.
    agreement : RankAgreement
        Of the ranks.
    how : How
        What the intervals of differences rest on.
    """

    views: tuple[View, View]
    tasks: Matched
    effects: tuple[Array, Array]
    margins: tuple[Array, Array]
    ranks: tuple[Array, Array]
    agreement: RankAgreement
    how: How

    @property
    def one_unit(self) -> bool:
        """Whether both measure the same, so that a difference means something."""
        return self.views[0].unit == self.views[1].unit

    @property
    def identical(self) -> bool:
        """Whether both are one and the same view."""
        return self.how is How.ONE_FIT and self.views[0].same_readout(self.views[1])

    @property
    def have_pairs(self) -> bool:
        """Whether both say anything of pairs, in one unit."""
        kernels = all(view.kernel != "linear" for view in self.views)
        return self.one_unit and kernels and len(self.tasks.names) > 1

    @cached_property
    def differences(self) -> Differences | None:
        """Of the effects; None where the two measure different things: then there are ranks alone."""
        return _task_differences(self) if self.one_unit else None

    @cached_property
    def pairs(self) -> PairDifferences | None:
        """Differences of interactions; None where one of the two has none, or they measure different things."""
        return _pair_differences(self) if self.have_pairs else None

    @property
    def chooses(self) -> bool:
        """Whether rows are left out of a surrogate that chooses kernels and ridges by them."""
        return self.how is How.ROWS_LEFT_OUT and self._rows_left_out.chooses

    @cached_property
    def _rows_left_out(self) -> RowsLeftOut:
        return RowsLeftOut(*self.views, self.tasks)

    @cached_property
    def _difference_fit(self) -> Surrogate:
        """Fitted to the first outcome less the second."""
        first, second = self.views
        kernel, gamma, ridge = first.settings
        return fit_of_target(_less(first, second, self.tasks), "", kernel, gamma, ridge or 0.0)


def compare_views(first: View, second: View) -> TwoViews:
    """Compare two views.

    Raises
    ------
    InputError
        They have no task in common.

    References
    ----------
    Efron and Stein (1981), The jackknife estimate of variance.

    Examples
    --------
    >>> from kernelsm import load_example
    >>> outcomes = load_example("planted")
    >>> leave_one_out, shapley = View(outcomes, readout="leave_one_out"), View(outcomes, readout="shapley")
    >>> found = compare_views(leave_one_out, shapley)
    >>> found.how, found.differences.values.shape
    (<How.ONE_FIT: 'one fit'>, (10,))
    >>> compare_views(leave_one_out, View(outcomes, kernel="linear")).how
    <How.ROWS_LEFT_OUT: 'rows left out'>
    """
    tasks = matched_tasks(first, second)
    sides = (first, tasks.first), (second, tasks.second)
    effects = tuple(view.reading.attribution.values[rows, 0] for view, rows in sides)
    margins = tuple(view.reading.attribution.margin()[rows, 0] for view, rows in sides)
    ranks = tuple(
        mean_ranks(-values if view.outcomes.higher_is_better else values)
        for values, view in zip(effects, (first, second), strict=True)
    )
    return TwoViews(
        (first, second), tasks, cast(tuple[Array, Array], effects), cast(tuple[Array, Array], margins),
        cast(tuple[Array, Array], ranks), rank_agreement(*ranks), _how(first, second, tasks),
    )  # fmt: skip


def _how(first: View, second: View, tasks: Matched) -> How:
    if rows_in_common(first, second, tasks) is None:
        return How.ROWS_LEFT_OUT if begins_the_other(first, second, tasks) else How.APART
    same_settings = first.settings == second.settings
    if same_settings and _one_table(first, second) and first.one_target == second.one_target:
        return How.ONE_FIT
    return How.DIFFERENCES if same_settings and first.same_readout(second) else How.ROWS_LEFT_OUT


def _one_table(first: View, second: View) -> bool:
    return first.outcomes.content_hash == second.outcomes.content_hash


def _task_differences(found: TwoViews) -> Differences:
    first, second = found.views
    places = found.tasks.first, found.tasks.second
    values = found.effects[0] - found.effects[1]
    freedom = _least_freedom(first, second)
    if found.how is How.ONE_FIT:
        std = np.sqrt(contrast_variance(first.surrogate, first.of_tasks, second.of_tasks)[places[0], 0])
    elif found.how is How.DIFFERENCES:
        size = task_size_of(first.outcomes, first.kind)
        attribution = found._difference_fit.attribution(cast(AttributionKind, first.kind), size=size)
        values, std = attribution.values[:, 0], _deviations(attribution)
        freedom = attribution.degrees_of_freedom
    elif found.how is How.ROWS_LEFT_OUT:
        std, freedom = found._rows_left_out.of_effects(), found._rows_left_out.freedom
    else:
        each = [_deviations(view.reading.attribution)[place] for view, place in zip(found.views, places, strict=True)]
        std = np.hypot(*each)
    return _differences(found, found.effects, values, std, freedom, len(values))


def _pair_differences(found: TwoViews) -> PairDifferences:
    first, second = found.views
    n = len(found.tasks.names)
    j, k = np.triu_indices(n, 1)
    total = len(j)
    every = [
        view.reading.interactions.values[place[j], place[k], 0]
        for view, place in zip(found.views, (found.tasks.first, found.tasks.second), strict=True)
    ]
    kept = np.sort(rising(-np.maximum(np.abs(every[0]), np.abs(every[1])))[:_MOST_PAIRS])
    j, k = j[kept], k[kept]
    interactions = every[0][kept], every[1][kept]
    places = [(place[j], place[k]) for place in (found.tasks.first, found.tasks.second)]
    values = interactions[0] - interactions[1]
    freedom = _least_freedom(first, second)
    if found.how is How.ONE_FIT:
        std = np.sqrt(pair_contrast_variance(first.surrogate, first.of_pairs, second.of_pairs, *places[0])[:, 0])
    elif found.how is How.DIFFERENCES:
        kind, size = pair_readout_of(first.outcomes, first.kind)
        fitted = found._difference_fit.interactions(kind, size=size)
        values, std, freedom = fitted.values[j, k, 0], fitted.std_of(j, k)[:, 0], fitted.degrees_of_freedom
    elif found.how is How.ROWS_LEFT_OUT:
        std, freedom = found._rows_left_out.of_pairs(j, k), found._rows_left_out.freedom
    else:
        std = np.hypot(
            *(view.reading.interactions.std_of(*pair)[:, 0] for view, pair in zip(found.views, places, strict=True))
        )
    return PairDifferences(j, k, total, _differences(found, interactions, values, std, freedom, total))


def _differences(
    found: TwoViews, effects: tuple[Array, Array], values: Array, std: Array, freedom: float, tests: int
) -> Differences:
    if found.identical:  # rounding alone is left of the variance
        std = np.zeros_like(std)
    matters = min(view.reading.matters for view in found.views)
    clear = told_from_zero(values, std, freedom, tests=tests)
    margin = interval_quantile(freedom) * std
    return Differences(*effects, values, std, freedom, verdicts(values, margin, clear, matters))


def _deviations(attribution: Attribution) -> Array:
    """Standard deviations of the effects on one target, shape (K,); NaN where they are not known."""
    return np.full(len(attribution.values), np.nan) if attribution.std is None else attribution.std[:, 0]


def _least_freedom(first: View, second: View) -> float:
    """Degrees of freedom of a difference: the lesser of both, which makes no interval too narrow."""
    return float(min(view.surrogate.degrees_of_freedom_ for view in (first, second)))


def _less(first: View, second: View, tasks: Matched) -> Outcomes:
    """The table of the first outcome less the second, subset by subset."""
    rows = rows_in_common(first, second, tasks)
    assert rows is not None
    tables = first.table, second.table
    masks, values = tables[0].masks[rows[0]], tables[0].values[rows[0]] - tables[1].values[rows[1]]
    exact = all(_exact(table) for table in tables) and rows_agree(masks.astype(np.float64), values)
    return Outcomes(
        masks, values, task_names=tables[0].task_names, target_names=["difference"],
        higher_is_better=tables[0].higher_is_better,
        noise=np.zeros((1, 1)) if exact else _noise(first, second),
    )  # fmt: skip


def _exact(table: Outcomes) -> bool:
    return table.computed_exactly if table.noise is None else not table.noise.any()


def _noise(first: View, second: View) -> Array | None:
    """What is known of the noise of the difference: two targets of one table share theirs, two tables do not."""
    one, other = first.table.noise, second.table.noise
    if one is None or other is None:
        return None
    found = one - other if _one_table(first, second) else np.vstack([one, other])
    return found if found.any() else None
