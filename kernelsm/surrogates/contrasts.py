"""How sure the difference of two readouts is: of one fit, or of two fits to the same rows.

Two readouts of one fit are linear functionals L and L' of the same g. Their difference is one too, so its variance is
that of L - L' under the posterior: doubts that both share cancel (`contrast_variance`, `pair_contrast_variance`).

Two surrogates that were fitted to the same rows share these rows. How far the difference of what is read off them
depends on which rows there are is the jackknife's question: every row is left out of both fits in turn. With kernels
and ridges kept, readouts without a row are known in closed form (`left_out_effects`, `left_out_pairs`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from kernelsm.outcomes.repeated_rows import groups_of_rows
from kernelsm.surrogates.auto import AutoSurrogate
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.surrogates.linear import LinearSurrogate
from kernelsm.surrogates.shared import SharedSurrogate
from kernelsm.surrogates.subset_distributions import Array, Indices, SubsetDistribution


def contrast_variance(surrogate: Surrogate, first: SubsetDistribution, second: SubsetDistribution) -> Array:
    """Posterior variance of the difference of two readouts of every task, shape (K, q)."""
    K, q = len(surrogate.task_names_), len(surrogate.target_names_)
    variance = np.zeros((K, q))
    for part, loadings in _parts(surrogate):
        if isinstance(part, LinearSurrogate):
            own = part._variance(part._directions(first) - part._directions(second), 0.0)
        else:
            function = part._function
            cross = function.effects(first, part.masks_) - function.effects(second, part.masks_)
            own = _variance(part, cross, first, second, np.arange(K))
        variance += own @ loadings**2
    return variance


def pair_contrast_variance(
    surrogate: Surrogate, first: SubsetDistribution, second: SubsetDistribution, j: Indices, k: Indices
) -> Array:
    """Posterior variance of the difference of two readouts of the pairs (j, k), shape (P, q)."""
    variance = np.zeros((len(j), len(surrogate.target_names_)))
    for part, loadings in _parts(surrogate):
        if isinstance(part, KernelSurrogate):  # a linear part has no pairs
            function = part._function
            cross = function.pair_effects(first, part.masks_, j, k)
            cross -= function.pair_effects(second, part.masks_, j, k)
            variance += _variance(part, cross, first, second, j, k) @ loadings**2
    return variance


def left_out_effects(surrogate: Surrogate, masks: ArrayLike, distribution: SubsetDistribution) -> Array:
    """How the readout of every task changes when each row is left out of the fit, shape (m, K, q).

    Parameters
    ----------
    surrogate : Surrogate
    masks : array-like of 0/1, shape (m, K)
        The rows it was fitted to. Where outcomes have no noise, a subset that stands there more than once is still
        known without one of its rows: nothing changes.
    distribution : SubsetDistribution
        See `distribution_of`.
    """
    rows = np.asarray(masks, dtype=np.float64)
    changed = np.zeros((len(rows), len(surrogate.task_names_), len(surrogate.target_names_)))
    place, alone = _places(surrogate, rows)
    for part, loadings in _parts(surrogate):
        if isinstance(part, LinearSurrogate):
            steps = part._left_out(distribution)
        else:
            steps = part._posterior.left_out(part.dual_coef_, part._function.effects(distribution, part.masks_))
        changed += np.where(alone[:, None, None], steps[place], 0.0) @ loadings
    return changed


def left_out_pairs(
    surrogate: Surrogate, masks: ArrayLike, distribution: SubsetDistribution, j: Indices, k: Indices
) -> Array:
    """The same for the pairs (j, k), shape (m, P, q)."""
    rows = np.asarray(masks, dtype=np.float64)
    changed = np.zeros((len(rows), len(j), len(surrogate.target_names_)))
    place, alone = _places(surrogate, rows)
    for part, loadings in _parts(surrogate):
        if isinstance(part, KernelSurrogate):
            cross = part._function.pair_effects(distribution, part.masks_, j, k)
            steps = part._posterior.left_out(part.dual_coef_, cross)
            changed += np.where(alone[:, None, None], steps[place], 0.0) @ loadings
    return changed


def _variance(
    part: KernelSurrogate, cross: Array, first: SubsetDistribution, second: SubsetDistribution, *tasks: Indices
) -> Array:
    """Posterior variance of differences of readouts, shape (R, q), from the difference of their k(s_i, ·)."""
    function, K = part._function, part.masks_.shape[1]
    each = [function.prior(side, K, *tasks) for side in (first, second)]
    prior = each[0] + each[1] - 2 * function.prior_between(first, second, K, *tasks)
    return np.outer(part._posterior.variance(cross, prior), part.scale_)


def _parts(surrogate: Surrogate) -> Iterator[tuple[KernelSurrogate | LinearSurrogate, Array]]:
    """The independent surrogates that one adds up, and their loadings on its targets, shape (C, q)."""
    if isinstance(surrogate, AutoSurrogate):
        surrogate = surrogate.effects_
    if isinstance(surrogate, SharedSurrogate):
        for group in surrogate.parts_:
            for part, loadings in _parts(group.surrogate):
                yield part, loadings @ group.loadings
        return
    assert isinstance(surrogate, KernelSurrogate | LinearSurrogate)
    q = surrogate.intercept_.shape[0]
    yield surrogate, np.eye(q)


def _places(surrogate: Surrogate, rows: Array) -> tuple[Indices, Array]:
    """Which fitted row each row of the table is, and whether it is the only one of its subset or counts by itself."""
    if surrogate.measured_rows_ is None:
        return np.arange(len(rows)), np.ones(len(rows), dtype=np.bool_)
    _, group = groups_of_rows(rows)
    return group, np.bincount(group)[group] == 1
