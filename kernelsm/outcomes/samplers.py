"""Which subsets to try: independent inclusion, or subsets of one size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.errors import InputError


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
    """
    _check_counts(K, m)
    if not 0.0 < p < 1.0:
        raise InputError("p", f"{p}", "a probability between 0 and 1", "0.5 spreads subsets most widely.")
    return np.random.default_rng(seed).random((m, K)) < p


def fixed_size_masks(K: int, m: int, *, size: int, seed: int = 0) -> NDArray[np.bool_]:
    """Draw `m` subsets of exactly `size` of `K` tasks, uniformly (4-of-50 prompts, for example).

    Returns
    -------
    ndarray of bool, shape (m, K)
        The first rows do not depend on `m`.

    Raises
    ------
    InputError
        K < 1, m < 1, or size outside 1..K.
    """
    _check_counts(K, m)
    if not 1 <= size <= K:
        raise InputError("size", f"{size}", f"a whole number from 1 to {K}", "A subset holds some of the tasks.")
    # the `size` smallest of K uniform numbers are a uniform subset
    ranks = np.random.default_rng(seed).random((m, K)).argsort(axis=1).argsort(axis=1)
    return np.asarray(ranks < size)


def _check_counts(K: int, m: int) -> None:
    if K < 1:
        raise InputError("K", f"{K}", "at least 1 task", "Name the tasks first.")
    if m < 1:
        raise InputError("m", f"{m}", "at least 1 subset", "A few hundred are usual.")
