"""Which subsets to try: independent inclusion, or subsets of one size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.checks import check_counts, check_probability, check_whole


def bernoulli_masks(K: int, m: int, *, p: float = 0.5, seed: int = 0) -> NDArray[np.bool_]:
    """Draw `m` subsets of `K` tasks, each task in with probability `p`, independently.

    Returns
    -------
    ndarray of bool, shape (m, K)
        The first rows do not depend on `m`: asking for more later keeps the earlier subsets.

    Raises
    ------
    InputError
        K < 1, m < 1, or p outside (0, 1).

    Examples
    --------
    >>> from kernelsm import bernoulli_masks
    >>> masks = bernoulli_masks(K=20, m=400, p=0.5)
    >>> masks.shape, masks.dtype
    ((400, 20), dtype('bool'))
    >>> bool((masks[:100] == bernoulli_masks(K=20, m=100, p=0.5)).all())
    True
    """
    check_counts(K=K, m=m)
    check_probability("p", p, fix="0.5 spreads subsets most widely.")
    return np.random.default_rng(seed).random((m, K)) < p


def fixed_size_masks(K: int, m: int, *, size: int, seed: int = 0, distinct: bool = False) -> NDArray[np.bool_]:
    """Draw `m` subsets of exactly `size` of `K` tasks, uniformly (4-of-50 prompts, for example).

    Parameters
    ----------
    K, m, size, seed : int
        `seed` is that of the draw.
    distinct : bool
        Leave out repeated subsets: where the outcome depends on the subset alone, a second row of it adds nothing,
        and a split that separates the two tests on a subset that was fitted.

    Returns
    -------
    ndarray of bool, shape (m, K)
        The first rows do not depend on `m`. With `distinct` there are no more rows than subsets.

    Raises
    ------
    InputError
        K < 1, m < 1, or size outside 1..K.

    Examples
    --------
    >>> from kernelsm import fixed_size_masks
    >>> masks = fixed_size_masks(K=50, m=200, size=4)
    >>> set(masks.sum(axis=1).tolist())
    {4}
    >>> len(fixed_size_masks(K=4, m=100, size=2, distinct=True))  # there are no more
    6
    """
    check_counts(K=K, m=m)
    check_whole("size", size, 1, K, fix="A subset holds some of the tasks.")
    rng = np.random.default_rng(seed)
    masks = _random_masks(rng, K, m, size)
    if not distinct:
        return masks
    wanted = min(m, math.comb(K, size))
    while len(found := _first_of_each(masks)) < wanted:
        masks = np.concatenate([found, _random_masks(rng, K, m, size)])
    return found[:wanted]


def _random_masks(rng: np.random.Generator, K: int, m: int, size: int) -> NDArray[np.bool_]:
    # the `size` smallest of K uniform numbers are a uniform subset
    return np.asarray(rng.random((m, K)).argsort(axis=1).argsort(axis=1) < size)


def _first_of_each(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows without those that were there before."""
    _, first = np.unique(np.packbits(masks, axis=1), axis=0, return_index=True)
    return masks[np.sort(first)]
