"""Expected outcome of a prompt with empty slots: the mean over ways to fill them."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.base import Surrogate

MOST_FILLINGS = 2_000
"""Beyond these many ways to fill the slots, as many are drawn at random (the same each time)."""


def completed(chosen: tuple[int, ...], size: int, K: int) -> NDArray[np.bool_]:
    """Return the subsets of `size` that hold the chosen tasks, the empty slots filled in every way or at random.

    Parameters
    ----------
    chosen : tuple of int
        Different tasks, at most `size`.
    size, K : int
        Tasks in a subset, and all tasks.

    Returns
    -------
    ndarray of bool, shape (fillings, K)

    Raises
    ------
    InputError
        More tasks chosen than fit, one twice or unknown, or too few left to fill the slots.
    """
    if len(set(chosen)) != len(chosen) or len(chosen) > size or not all(0 <= k < K for k in chosen):
        raise InputError("chosen", repr(chosen)[:80], f"at most {size} different ones of 0..{K - 1}", "Choose again.")
    if size > K:
        raise InputError("size", f"{size}", f"at most the {K} tasks", "Take fewer slots.")
    others, empty = np.setdiff1d(np.arange(K), chosen), size - len(chosen)
    ways = comb(len(others), empty)
    if ways <= MOST_FILLINGS:
        filled = np.array(list(combinations(others.tolist(), empty)), dtype=np.intp).reshape(ways, empty)
    else:
        keys = np.random.default_rng(0).random((MOST_FILLINGS, len(others)))
        filled = others[np.argpartition(keys, empty, axis=1)[:, :empty]]
    masks = np.zeros((len(filled), K), dtype=np.bool_)
    masks[:, list(chosen)] = True
    masks[np.arange(len(filled))[:, None], filled] = True
    return masks


def expected_outcome(surrogate: Surrogate, chosen: tuple[int, ...], size: int) -> tuple[float, float]:
    """Return the mean predicted outcome with the empty slots filled at random, and its standard deviation.

    A surrogate fitted to subsets of one size knows little of smaller ones, so the empty slots are filled instead of
    left out.

    Parameters
    ----------
    surrogate : Surrogate
        Fitted on masks, of one target.
    chosen : tuple of int
        Tasks in the slots so far, at most `size`.
    size : int

    Returns
    -------
    (float, float)
        In the outcome's unit (nats for a loss; lower is better). The standard deviation is the mean of those of the
        filled subsets, an upper bound; it is the surrogate's uncertainty, not the spread over fillings.
    """
    predicted, std = surrogate.predict(completed(chosen, size, len(surrogate.task_names_)), return_std=True)
    return float(predicted.mean()), float(std.mean())
