"""Whether a table holds every subset there is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernelsm.outcomes.designs import possible_subsets


def different_rows(masks: ArrayLike) -> NDArray[np.bool_]:
    """Return each row once.

    Parameters
    ----------
    masks : array-like of bool, shape (m, K)
    """
    return np.unique(np.asarray(masks, dtype=np.bool_), axis=0)


def only_size(masks: ArrayLike) -> int | None:
    """Return how many tasks every subset holds, if all hold as many, and neither none nor all of them.

    Parameters
    ----------
    masks : array-like of bool, shape (m, K)
    """
    rows = np.asarray(masks, dtype=np.bool_)
    sizes = np.unique(rows.sum(axis=1))
    return int(sizes[0]) if len(sizes) == 1 and 0 < sizes[0] < rows.shape[1] else None


def subsets_left(masks: ArrayLike) -> int:
    """Return how many different subsets were not measured: of 2^K, or of C(K, r) where every row holds r tasks.

    Parameters
    ----------
    masks : array-like of bool, shape (m, K)

    Examples
    --------
    >>> subsets_left([[1, 1], [1, 0], [0, 0]]), subsets_left([[1, 0], [0, 1]])
    (1, 0)
    """
    rows = different_rows(masks)
    return possible_subsets(rows.shape[1], only_size(rows)) - len(rows)
