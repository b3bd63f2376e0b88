"""What seeing the order of demonstrations gains a surrogate on single prompts of subsets that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernelsm.evaluation.comparison import PairedGain, paired_gain
from kernelsm.prompts.order_surrogate import WEIGHTS, PositionSurrogate
from kernelsm.runtime.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class OrderGain:
    """Seeing (s, order) minus seeing s alone, on single orders of subsets that were held out with all of theirs.

    Where labels were given, what sees s alone still knows how many of each label are in.

    Parameters
    ----------
    subsets, orders : int
        How many subsets, and orders of each.
    lds : PairedGain
        Mean rank correlation over subsets, of each target and order by turns. Above 0 the order helps.
    spearman : PairedGain
        The same of the mean over targets.
    relative_error : PairedGain
        Below 0 the order helps.
    weights : tuple of pairs of float
        Say of who stands where, and of which label stands where, that each fold chose; 0 left them out.
    """

    subsets: int
    orders: int
    lds: PairedGain
    spearman: PairedGain
    relative_error: PairedGain
    weights: tuple[tuple[float, float], ...]


def order_gain(
    orders: Sequence[Sequence[int]] | NDArray[np.integer],
    values: ArrayLike,
    K: int,
    labels: ArrayLike | None = None,
    *,
    kernel: Literal["rbf", "linear"] = "rbf",
    weights: Sequence[tuple[float, float]] = WEIGHTS,
    folds: int = 5,
    seed: int = 0,
    level: float = 0.9,
) -> OrderGain:
    """Compare both surrogates by cross-validation over subsets: all orders of a subset are on the same side.

    The intervals are over subsets, not prompts, as orders of one subset are alike: see `paired_gain`.

    Parameters
    ----------
    orders : array-like of int, shape (m * orders, k)
        As `Prompting.by_order` gives them; as many orders of each subset.
    values : array-like, shape (m * orders, q)
        Their outcomes.
    K : int
        Number of candidates.
    labels : array-like of int, shape (K,), optional
        Class of each candidate; see `position_features`.
    kernel, weights
        Of `PositionSurrogate`; what sees s alone has the same.
    folds, seed : int
        Parts of the subsets that are held out in turn, at random, and the seed of the parts.
    level : float
        Of the intervals.

    Raises
    ------
    InputError
        Subsets with different numbers of orders, fewer subsets than folds or than 3, fewer than 2 folds, or what
        `PositionSurrogate.fit` refuses.
    """
    rows_of: dict[frozenset[int], list[int]] = {}
    for row, order in enumerate(orders):
        rows_of.setdefault(frozenset(int(i) for i in order), []).append(row)
    counts = {len(rows) for rows in rows_of.values()}
    if len(counts) > 1:
        fix = "Leave out the subsets with fewer, or score more orders of them."
        raise InputError("orders", f"{min(counts)} to {max(counts)} of a subset", "as many of each", fix)
    m = len(rows_of)
    if folds < 2 or m < max(folds, 3):
        raise InputError(
            "folds", f"{folds}, and {m} subsets", "2 or more, and as many subsets", "Score more subsets."
        )
    rows = np.array(list(rows_of.values()))
    slots, F = np.asarray(orders), np.asarray(values, dtype=np.float64)
    seen, unseen = np.zeros_like(F), np.zeros_like(F)
    chosen = []
    part = np.random.default_rng(seed).permutation(m) % folds
    for fold in range(folds):
        inside, outside = rows[part != fold].ravel(), rows[part == fold].ravel()
        both = PositionSurrogate(kernel=kernel, weights=weights).fit(slots[inside], F[inside], K, labels)
        alone = PositionSurrogate(kernel=kernel, weights=weights, ordered=False).fit(
            slots[inside], F[inside], K, labels
        )
        seen[outside], unseen[outside] = both.predict(slots[outside]), alone.predict(slots[outside])
        chosen.append(both.weights_)

    # one row per subset, the orders side by side: the jackknife then leaves out whole subsets
    def by_subset(table: Array) -> Array:
        return np.asarray(table[rows].reshape(m, -1))

    tables = [by_subset(table) for table in (F, seen, unseen)]
    means = [by_subset(table.mean(axis=1, keepdims=True)) for table in (F, seen, unseen)]
    return OrderGain(
        subsets=m,
        orders=rows.shape[1],
        lds=paired_gain(tables[0], tables[1], tables[2], level=level),
        spearman=paired_gain(means[0], means[1], means[2], level=level),
        relative_error=paired_gain(tables[0], tables[1], tables[2], "relative_error", level=level),
        weights=tuple(chosen),
    )
