"""Prompts among which to look for a better one: drawn at random, and little different from good ones."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from kernelsm.prompts.order_kernel import PromptOrders


def near_and_drawn(
    parents: PromptOrders, K: int, drawn: int, rng: np.random.Generator, *, ordered: bool = True
) -> PromptOrders:
    """Return random prompts, and those that differ from a parent by one demonstration or by a swap of two.

    Parameters
    ----------
    parents : ndarray of int, shape (parents, k)
    K : int
        Number of candidates.
    drawn : int
        Random prompts.
    rng : Generator
    ordered : bool
        Else a prompt is its set: rising, and swaps change nothing.

    Returns
    -------
    ndarray of int, shape (m, k)
        All different; parents may be among them.

    Examples
    --------
    >>> import numpy as np
    >>> near_and_drawn(np.array([[0, 1]]), 3, 0, np.random.default_rng(0)).tolist()
    [[0, 2], [1, 0], [2, 1]]
    """
    k = parents.shape[1]
    found = [np.argsort(rng.random((drawn, K)), axis=1)[:, :k]]
    for parent in parents:
        outside = np.setdiff1d(np.arange(K), parent)
        for slot in range(k):
            replaced = np.tile(parent, (len(outside), 1))
            replaced[:, slot] = outside
            found.append(replaced)
        if ordered:
            found.extend(_swapped(parent, *pair)[None] for pair in combinations(range(k), 2))
    pool = np.concatenate(found)
    return np.unique(pool if ordered else np.sort(pool, axis=1), axis=0).astype(np.intp)


def _swapped(prompt: PromptOrders, i: int, j: int) -> PromptOrders:
    swapped = prompt.copy()
    swapped[[i, j]] = swapped[[j, i]]
    return swapped
