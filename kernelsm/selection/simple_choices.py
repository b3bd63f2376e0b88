"""Baselines for a choice by a surrogate: random, most similar, by a linear fit, and the best prompt measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernelsm.outcomes.samplers import fixed_size_masks
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import first_least, rising
from kernelsm.selection.search import Balance, Selection, choose
from kernelsm.surrogates.linear import LinearSurrogateCV


def random_prompts(
    K: int, size: int, count: int, *, labels: Sequence[str] | None = None, balance: bool = False, seed: int = 0
) -> NDArray[np.bool_]:
    """Draw prompts of `size` of `K` demonstrations, each independently.

    Parameters
    ----------
    K, size, count : int
    labels, balance
        As of `choose`.
    seed : int

    Returns
    -------
    ndarray of bool, shape (count, K)
        The first rows do not depend on `count`.

    Raises
    ------
    InputError
        Size outside 1..K, count below 1, or labels that do not fit the balance.
    """
    rule = Balance.of(K, size, labels, balance)
    if not balance:
        return fixed_size_masks(K, count, size=size, seed=seed)
    if count < 1:
        raise InputError("count", f"{count}", "at least 1 prompt", "A few dozen are usual.")
    keys = np.random.default_rng(seed).random((count, K))
    return np.array([rule.first_allowed(order) for order in keys.argsort(axis=1)])


def nearest_to_queries(
    candidates: ArrayLike,
    queries: ArrayLike,
    size: int,
    *,
    labels: Sequence[str] | None = None,
    balance: bool = False,
) -> tuple[int, ...]:
    """Choose the demonstrations whose embeddings are most like those of the queries.

    Parameters
    ----------
    candidates : array-like, shape (K, d)
        Embeddings of the demonstrations, none of them zero.
    queries : array-like, shape (q, d)
        Embeddings of the queries; likeness is the mean cosine over them.
    size : int
    labels, balance
        As of `choose`.

    Returns
    -------
    tuple of int
        Indices, rising; of equally near ones the first.

    Raises
    ------
    InputError
        Embeddings that are no finite matrices of one width, or zero; size or labels as of `choose`.

    References
    ----------
    Liu et al. (2022), What makes good in-context examples for GPT-3?
    """
    candidate_directions, query_directions = _directions(candidates, "candidates"), _directions(queries, "queries")
    if candidate_directions.shape[1] != query_directions.shape[1]:
        found = f"{query_directions.shape[1]} numbers per query"
        fix = "Embed both with the same model."
        raise InputError("queries", found, f"{candidate_directions.shape[1]}, as for the candidates", fix)
    return most_alike(candidate_directions @ query_directions.mean(axis=0), size, labels=labels, balance=balance)


def most_alike(
    likeness: ArrayLike, size: int, *, labels: Sequence[str] | None = None, balance: bool = False
) -> tuple[int, ...]:
    """Choose the demonstrations of the largest likeness, shape (K,); of equal ones the first.

    Raises
    ------
    InputError
        Size or labels as of `choose`.
    """
    order = rising(-np.asarray(likeness, dtype=np.float64))
    return tuple(np.flatnonzero(Balance.of(len(order), size, labels, balance).first_allowed(order)).tolist())


def top_by_linear(
    outcomes: Outcomes, size: int, *, labels: Sequence[str] | None = None, balance: bool = False
) -> Selection:
    """Choose the demonstrations with the best coefficients of a tuned linear surrogate of the mean outcome.

    Parameters
    ----------
    outcomes : Outcomes
    size : int
    labels, balance
        As of `choose`.

    Raises
    ------
    InputError
        As of `choose`.
    """
    return choose(LinearSurrogateCV().fit_outcomes(outcomes.mean_target()), size, "top", labels, balance)


def best_seen(
    outcomes: Outcomes, size: int, *, labels: Sequence[str] | None = None, balance: bool = False
) -> tuple[int, ...]:
    """Return the measured prompt of `size` demonstrations with the best mean outcome.

    Parameters
    ----------
    outcomes : Outcomes
        A prompt that was measured several times counts with their mean.
    size : int
    labels, balance
        As of `choose`: only prompts that are balanced count.

    Returns
    -------
    tuple of int
        Indices, rising; of equally good prompts the first in the table.

    Raises
    ------
    InputError
        No such prompt was measured; size or labels as of `choose`.
    """
    rule = Balance.of(outcomes.K, size, labels, balance)
    measured: dict[tuple[int, ...], list[float]] = {}
    for mask, value in zip(outcomes.masks, outcomes.mean_target().values[:, 0], strict=True):
        if rule.allows(mask):
            measured.setdefault(tuple(np.flatnonzero(mask).tolist()), []).append(float(value))
    if not measured:
        kind = "balanced prompt" if balance else "prompt"
        fix = "Measure some, or choose another size."
        raise InputError("outcomes", f"no {kind} of {size}", "at least one", fix)
    sign = -1.0 if outcomes.higher_is_better else 1.0
    return list(measured)[first_least([sign * float(np.mean(values)) for values in measured.values()])]


def _directions(vectors: ArrayLike, place: str) -> NDArray[np.float64]:
    """Vectors of length 1."""
    fix = "Give one embedding per row."
    try:
        matrix = np.asarray(vectors, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(place, "text or uneven rows", "a matrix of numbers", fix) from None
    if matrix.ndim != 2 or 0 in matrix.shape or not np.isfinite(matrix).all():
        finite = matrix.ndim != 2 or 0 in matrix.shape
        found = f"shape {matrix.shape}" if finite else "NaN or inf"
        raise InputError(place, found, "a matrix of finite numbers", fix)
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    if len(zero := np.flatnonzero(length == 0)):
        raise InputError(f"{place}, row {zero[0]}", "a vector of zeros", "a direction", "Was its text empty?")
    return np.asarray(matrix / length)
