"""Which subsets to measure next: those whose outcomes would reduce the uncertainty of a readout most.

Measuring the outcome of s would reduce the variance of the readouts L_r by Σ_r cov(L_r, g(s))² / (var g(s) + σ²λ). It
does not depend on the outcome itself, so a whole batch can be chosen before any of it is measured (Seo et al., 2000,
Gaussian process regression: active data selection and test point rejection).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import NEAR, first_greatest
from kernelsm.surrogates.base import AttributionKind, Surrogate
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.surrogates.subset_distributions import Array, distribution_of

# gains below this share of the prior variance are small remainders of it: they are compared less finely
_SMALL = 1e-4


@dataclass(frozen=True, eq=False)
class NextSubsets:
    """Chosen subsets and how much variance is expected to remain after each.

    Parameters
    ----------
    masks : ndarray of bool, shape (count, K)
        In the order of choice; ties go to the first candidate.
    variance_left : ndarray, shape (count,)
        Total variance of the readouts after each choice, as a share of what it is now.
    """

    masks: NDArray[np.bool_]
    variance_left: Array


def next_subsets(
    surrogate: Surrogate,
    count: int,
    kind: AttributionKind = "leave_one_out",
    *,
    at: ArrayLike | None = None,
    p: float | None = None,
    size: int | None = None,
    candidates: ArrayLike | None = None,
    seed: int = 0,
) -> NextSubsets:
    """Choose, one by one, the subsets whose outcomes would reduce the posterior variance of an attribution most.

    Parameters
    ----------
    surrogate : KernelSurrogate
        Fitted to the outcomes measured so far. (A linear surrogate is `KernelSurrogate(kernel="linear")`.)
    count : int
        Number of subsets to choose.
    kind, at, p, size
        The readout, as in `Surrogate.attribution`.
    candidates : array-like of 0/1, shape (N, K), optional
        Subsets to choose from; `candidate_masks` where not given.
    seed : int
        Seed of the random candidates.

    Raises
    ------
    InputError
        More subsets asked for than there are candidates, a wrong readout, or a fit on inputs that are not 0/1.
    """
    if not isinstance(surrogate, KernelSurrogate):
        found = type(surrogate).__name__
        raise InputError("surrogate", found, "a KernelSurrogate", "Linear is KernelSurrogate(kernel='linear').")
    K = surrogate._check_readout()
    distribution, _ = distribution_of(kind, 1, K, at=at, p=p, size=size)
    known = surrogate.masks_
    pool = candidate_masks(known, seed=seed) if candidates is None else _checked(candidates, K)
    if int(count) != count or not 1 <= count <= len(pool):
        raise InputError("count", f"{count}", f"1 to the {len(pool)} candidates", "Ask for fewer subsets.")
    function, posterior = surrogate._function, surrogate._posterior
    effects, cross = function.effects(distribution, known), function.gram(known, pool)
    readout_covariance = posterior.covariance(effects, cross, function.effects(distribution, pool).T, (0.0, 1.0))
    candidate_covariance = posterior.covariance(cross, cross, function.gram(pool, pool), (1.0, 1.0))
    prior = function.prior(distribution, K, np.arange(K))
    total = float(posterior.variance(effects, prior).sum())
    variances, chosen = [total], []
    free = np.ones(len(pool), dtype=bool)
    # at λ = 0 a subset already measured has no variance left to divide by
    least = 1e-9 * float(function.diagonal(pool).max())
    for _ in range(count):
        spread = np.maximum(np.diag(candidate_covariance), 0.0) + surrogate.ridge_ + least
        gain = np.where(free, (readout_covariance**2).sum(axis=0) / spread, -1.0)
        best = first_greatest(gain, tolerance=NEAR * max(float(gain.max()), _SMALL * float(prior.sum())))
        chosen.append(best)
        free[best] = False
        variances.append(variances[-1] - float(gain[best]))
        column = candidate_covariance[:, best] / np.sqrt(spread[best])
        readout_covariance -= np.outer(readout_covariance[:, best] / np.sqrt(spread[best]), column)
        candidate_covariance -= np.outer(column, column)
    share = np.maximum(np.array(variances[1:]), 0.0) / total if total > 0 else np.zeros(count)
    return NextSubsets(pool[chosen].astype(bool), share)


def _checked(candidates: ArrayLike, K: int) -> Array:
    try:
        pool = np.asarray(candidates, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            "candidates", "text or uneven rows", f"rows of {K} values of 0 or 1", "One row each."
        ) from None
    if pool.ndim != 2 or pool.shape[1] != K or not np.isin(candidates, (0.0, 1.0)).all():
        found = f"shape {pool.shape}" if pool.shape[1:] != (K,) else "values that are not 0 or 1"
        raise InputError("candidates", found, f"rows of {K} values of 0 or 1", "One row per subset.")
    return pool


def candidate_masks(masks: ArrayLike, *, count: int = 1000, seed: int = 0) -> Array:
    """Draw subsets to choose from, shape (N, K): of the measured size if all have the same one, else of all sizes.

    Parameters
    ----------
    masks : array-like of 0/1, shape (m, K)
        Subsets measured so far.
    count : int
        Number of draws; duplicates are dropped, so fewer rows may be returned.
    seed : int
    """
    known = np.asarray(masks, dtype=np.float64)
    K = known.shape[1]
    rng = np.random.default_rng(seed)
    sizes = np.unique(known.sum(axis=1))
    ranks = rng.random((count, K)).argsort(axis=1).argsort(axis=1)
    if len(sizes) == 1:  # a prompt has room for so many demonstrations and no more
        pool = (ranks < sizes[0]).astype(np.float64)
    else:  # all sizes alike, and every way to leave one or none out
        drawn = (ranks < rng.integers(0, K + 1, (count, 1))).astype(np.float64)
        pool = np.vstack([np.ones((1, K)), 1 - np.eye(K), drawn])
    return np.unique(pool, axis=0)
