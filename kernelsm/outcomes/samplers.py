"""Which subsets to try: independent inclusion, or subsets of one size."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.checks import check_counts, check_probability, check_whole

_REPEATS_IN_A_ROW = 200


def bernoulli_masks(K: int, m: int, *, p: float = 0.5, seed: int = 0, distinct: bool = False) -> NDArray[np.bool_]:
    """Draw `m` subsets of `K` tasks, each task in with probability `p`, independently.

    Parameters
    ----------
    K, m : int
    p : float
        Between 0 and 1, both excluded.
    seed : int
        Seed of the draw.
    distinct : bool
        Leave out subsets that were drawn before: where the outcome depends on the subset alone, a second row of it
        adds nothing.

    Returns
    -------
    ndarray of bool, shape (m, K)
        The first rows do not depend on `m`: asking for more later keeps the earlier subsets. With `distinct` there
        are no more rows than the 2^K subsets.

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
    >>> len(bernoulli_masks(K=3, m=100, distinct=True))  # there are no more
    8
    """
    check_counts(K=K, m=m)
    check_probability("p", p, fix="0.5 spreads subsets most widely.")
    rng = np.random.default_rng(seed)
    return _distinct_bernoulli(rng, K, min(m, 2**K), p, seed) if distinct else rng.random((m, K)) < p


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


def _distinct_bernoulli(rng: np.random.Generator, K: int, wanted: int, p: float, seed: int) -> NDArray[np.bool_]:
    """The first of each that are drawn; those so rare that they hardly come are drawn among those left instead."""
    found: dict[bytes, NDArray[np.bool_]] = {}
    repeats = 0
    while len(found) < wanted:
        for mask in rng.random((wanted, K)) < p:
            repeats = repeats + 1 if mask.tobytes() in found else 0
            found.setdefault(mask.tobytes(), mask)
            if len(found) == wanted:
                break
            if repeats == _REPEATS_IN_A_ROW:  # a place in the sequence of draws that does not depend on `wanted`
                return _with_rare_ones(np.random.default_rng([seed, 1]), found, K, wanted, p)
    return np.array(list(found.values()))


def _with_rare_ones(
    rng: np.random.Generator, found: dict[bytes, NDArray[np.bool_]], K: int, wanted: int, p: float
) -> NDArray[np.bool_]:
    """Continue a draw without repeats: first how many tasks are in, then which, in proportion to what is left."""
    taken = np.bincount([int(mask.sum()) for mask in found.values()], minlength=K + 1).tolist()
    sizes = range(K + 1)
    log_weights = [size * math.log(p) + (K - size) * math.log1p(-p) for size in sizes]
    while len(found) < wanted:
        left = [math.comb(K, size) - taken[size] for size in sizes]
        logs = np.array([math.log(left[n]) + log_weights[n] if left[n] else -math.inf for n in sizes])
        shares = np.exp(logs - logs.max())
        size = int(rng.choice(K + 1, p=shares / shares.sum()))
        mask = _one_not_taken(rng, found, K, size, left[size])
        found[mask.tobytes()] = mask
        taken[size] += 1
    return np.array(list(found.values()))


def _one_not_taken(
    rng: np.random.Generator, found: dict[bytes, NDArray[np.bool_]], K: int, size: int, left: int
) -> NDArray[np.bool_]:
    """A subset of this size, uniformly among the `left` ones that are not among those found."""
    if 2 * left > math.comb(K, size):  # most are free: try until one is
        mask = _random_masks(rng, K, 1, size)
        while mask.tobytes() in found:
            mask = _random_masks(rng, K, 1, size)
        return np.asarray(mask[0])
    every = masks_of_size(K, size)
    free = np.flatnonzero([mask.tobytes() not in found for mask in every])
    return np.asarray(every[free[rng.integers(len(free))]])


def masks_of_size(K: int, size: int) -> NDArray[np.bool_]:
    """Return all subsets of one size, shape (C(K, size), K); those that leave out the first tasks come first.

    Parameters
    ----------
    K : int
    size : int
        0 to K.
    """
    count = math.comb(K, size)
    outside = np.array(list(combinations(range(K), K - size)), dtype=np.intp).reshape(count, K - size)
    masks = np.ones((count, K), dtype=np.bool_)
    masks[np.arange(count)[:, None], outside] = False
    return masks


def _random_masks(rng: np.random.Generator, K: int, m: int, size: int) -> NDArray[np.bool_]:
    # the `size` smallest of K uniform numbers are a uniform subset
    return np.asarray(rng.random((m, K)).argsort(axis=1).argsort(axis=1) < size)


def _first_of_each(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows without those that were there before."""
    _, first = np.unique(np.packbits(masks, axis=1), axis=0, return_index=True)
    return masks[np.sort(first)]
