"""A surrogate of ordered prompts (paper appendix B.3): which demonstrations are in, and which label where."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import factorial
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.kernel import KernelSurrogate, kernel_of
from kernelsm.surrogates.laws import Array
from kernelsm.surrogates.tuning import RIDGES, LooSurface, check_grid, loo_surface

GAMMAS = tuple(float(f"{gamma:.4g}") for gamma in np.geomspace(1e-2, 30.0, 10))
"""Of "rbf", in units of 1/K."""
WEIGHTS = tuple((slots, labels) for labels in (0.0, 1.0, 4.0) for slots in (0.0, 1.0, 4.0))
"""Say of who stands where, and of which label stands where, beside that of who is in."""
MOST_ORDERS = 720
"""Most orders of one subset that are averaged: all of six demonstrations."""
_ROWS_AT_ONCE = 8192


def position_features(
    orders: Sequence[Sequence[int]] | NDArray[np.integer],
    K: int,
    labels: ArrayLike | None = None,
    *,
    ordered: bool = True,
) -> Array:
    """Write ordered prompts as 0/1: who is in, who stands in each slot, and which label stands in each slot.

    Parameters
    ----------
    orders : array-like of int, shape (rows, k)
        Candidates as they stand in the prompt, each at most once.
    K : int
        Number of candidates.
    labels : array-like of int, shape (K,), optional
        Class 0..C-1 of each candidate. Prompts that have no candidate in common may still have the same labels in
        the same places, which is most of what small models heed.
    ordered : bool
        Else each slot gets the mean over the slots: who is in and how many of each label, whatever their order.

    Returns
    -------
    ndarray, shape (rows, K + k * K + k * C)
        Orders of one subset have the same first K columns. C is 0 without labels.

    Raises
    ------
    InputError
        Prompts of several lengths, no candidate, one twice in a prompt, one that there is not, or labels that are
        not one whole number from 0 for each candidate.
    """
    slots = _check_orders(orders, K)
    who = np.eye(K)[slots]
    parts = [who]
    if labels is not None:
        classes = np.asarray(labels)
        if classes.shape != (K,) or not np.issubdtype(classes.dtype, np.integer) or classes.min() < 0:
            found = f"{classes.dtype} of shape {classes.shape}"
            raise InputError("labels", found, f"{K} whole numbers from 0", "Give the class of each candidate.")
        parts.append(np.eye(int(classes.max()) + 1)[classes[slots]])
    if not ordered:
        parts = [np.repeat(part.mean(axis=1, keepdims=True), slots.shape[1], axis=1) for part in parts]
    return np.concatenate([who.sum(axis=1), *(part.reshape(len(slots), -1) for part in parts)], axis=1)


class PositionSurrogate:
    """Kernel ridge regression on (s, order): outcomes of single orders, or their mean over all orders of a subset.

    The columns of the slots are scaled by two weights (see `position_features`): with (0, 0) only s is seen. γ, λ and
    the weights are those of least leave-one-out error, which is taken over prompts of different subsets (the first
    order of each, then the second, ...): else leaving out a prompt would leave its subset in. All rows fit.

    Parameters
    ----------
    kernel : {"rbf", "linear"}
        "linear" is ridge regression on the features.
    weights : sequence of pairs of float
        Weights tried, 0 or more: of who stands where, and of which label stands where.
    gammas : sequence of float, optional
        γ tried by "rbf"; ten from 0.01/K to 30/K where not given.
    ridges : sequence of float
        λ tried, above 0.
    ordered : bool
        Else it knows the same of a prompt but the order, for comparison.

    Attributes
    ----------
    weights_ : tuple of float
        What was chosen.
    gamma_, ridge_ : float
        γ (1 for "linear", which has none) and λ that were chosen.
    error_ : float
        Their leave-one-out error over that of the mean, mean over targets: 1 is no better than the mean.
    surrogate_ : KernelSurrogate
        Fitted on the weighted features.
    """

    weights_: tuple[float, float]
    gamma_: float
    ridge_: float
    error_: float
    surrogate_: KernelSurrogate

    def __init__(
        self,
        *,
        kernel: Literal["rbf", "linear"] = "rbf",
        weights: Sequence[tuple[float, float]] = WEIGHTS,
        gammas: Sequence[float] | None = None,
        ridges: Sequence[float] = RIDGES,
        ordered: bool = True,
    ) -> None:
        if kernel not in ("rbf", "linear"):
            raise InputError("kernel", repr(kernel)[:80], "'rbf' or 'linear'", "Choose one of these.")
        pairs = np.array([list(pair) for pair in weights], dtype=np.float64)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or not ((pairs >= 0) & (pairs < np.inf)).all():
            raise InputError(
                "weights", repr(weights)[:80], "pairs of finite numbers from 0", "Use (0, 0) for s alone."
            )
        self.kernel, self.weights, self.ordered = kernel, tuple(weights), ordered
        self.gammas, self.ridges = gammas, tuple(ridges)

    def fit(
        self,
        orders: Sequence[Sequence[int]] | NDArray[np.integer],
        values: ArrayLike,
        K: int,
        labels: ArrayLike | None = None,
    ) -> Self:
        """Fit to single-order outcomes.

        Parameters
        ----------
        orders, K, labels
            See `position_features`.
        values : array-like, shape (rows, q)
            The outcome of each order, as `Prompting.by_order` gives them.

        Raises
        ------
        InputError
            As `position_features`, or values of another number of rows or that are not finite.
        """
        features = position_features(orders, K, labels, ordered=self.ordered)
        F = np.asarray(values, dtype=np.float64)
        if F.ndim != 2 or len(F) != len(features) or not np.isfinite(F).all():
            found = f"shape {F.shape}" if F.ndim != 2 or len(F) != len(features) else "NaN or inf"
            raise InputError("values", found, f"({len(features)}, q), finite", "Give one row for each order.")
        self.K_, self.k_, self.labels_ = K, len(orders[0]), None if labels is None else np.array(labels)
        # without labels their weight has nothing to weigh
        pairs = dict.fromkeys(
            (float(slots), float(label) if labels is not None else 0.0) for slots, label in self.weights
        )
        tuned = [(*self._tune(self._weighted(features, pair), F), pair) for pair in pairs]
        self.error_, self.gamma_, self.ridge_, self.weights_ = min(tuned, key=lambda one: one[0])
        gamma = None if self.kernel == "linear" else self.gamma_
        self.surrogate_ = KernelSurrogate(kernel=self.kernel, gamma=gamma, ridge=self.ridge_)
        self.surrogate_.fit(self._weighted(features, self.weights_), F)
        return self

    def predict(self, orders: Sequence[Sequence[int]] | NDArray[np.integer]) -> Array:
        """Predict the outcomes of ordered prompts, shape (rows, q).

        Raises
        ------
        InputError
            As `position_features`, or prompts of another length than those of the fit.
        """
        return np.asarray(self.surrogate_.predict(self._inputs(orders)))

    def predict_std(self, orders: Sequence[Sequence[int]] | NDArray[np.integer]) -> Array:
        """Return the posterior standard deviations of these predictions, shape (rows, q).

        Raises
        ------
        InputError
            As `predict`.
        """
        return np.asarray(self.surrogate_.predict(self._inputs(orders), return_std=True)[1])

    def predict_mean(self, orders: Sequence[Sequence[int]] | NDArray[np.integer]) -> tuple[Array, Array]:
        """Predict the mean over ordered prompts and its posterior standard deviation, shape (q,) each.

        Raises
        ------
        InputError
            As `predict`.
        """
        return self.surrogate_.predict_mean(self._inputs(orders))

    def predict_subsets(self, masks: NDArray[np.bool_]) -> Array:
        """Predict the mean over all orders of each subset, shape (m, q).

        Raises
        ------
        InputError
            Masks of another shape, or with another number of candidates than in the fit, or of more than six.
        """
        masks = np.asarray(masks, dtype=bool)
        if masks.ndim != 2 or masks.shape[1] != self.K_ or not (masks.sum(axis=1) == self.k_).all():
            expected, fix = f"(m, {self.K_}) with {self.k_} in each row", "Predict subsets like those of the fit."
            raise InputError("masks", f"shape {masks.shape}, {masks.sum(axis=-1).tolist()}"[:80], expected, fix)
        if factorial(self.k_) > MOST_ORDERS:
            found, fix = f"{self.k_} demonstrations", "Predict some orders of each, and average."
            raise InputError("masks", found, "at most 6, whose orders can all be tried", fix)
        ways = np.array(list(permutations(range(self.k_))))
        orders = np.nonzero(masks)[1].reshape(len(masks), self.k_)[:, ways]  # (m, orders, k)
        block = max(1, _ROWS_AT_ONCE // len(ways))
        parts = [orders[start : start + block] for start in range(0, len(orders), block)]
        predicted = np.concatenate([self.predict(part.reshape(-1, self.k_)) for part in parts])
        return np.asarray(predicted.reshape(len(masks), len(ways), -1).mean(axis=1))

    def _inputs(self, orders: Sequence[Sequence[int]] | NDArray[np.integer]) -> Array:
        """Weighted features of prompts as long as those of the fit."""
        features = position_features(orders, self.K_, self.labels_, ordered=self.ordered)
        if len(orders[0]) != self.k_:
            found, fix = f"{len(orders[0])} in a prompt", "Fit prompts of that length."
            raise InputError("orders", found, f"{self.k_}, as in the fit", fix)
        return self._weighted(features, self.weights_)

    def _weighted(self, features: Array, weights: tuple[float, float]) -> Array:
        """Scale the columns of the slots, and leave out those of weight 0."""
        ends = (self.K_, self.K_ * (self.k_ + 1))
        mask, *parts = np.split(features, ends, axis=1)
        return np.concatenate([mask, *(w * part for w, part in zip(weights, parts, strict=True) if w)], axis=1)

    def _tune(self, X: Array, F: Array) -> tuple[float, float, float]:
        """Least leave-one-out error, and its γ and λ."""
        gammas = [gamma / self.K_ for gamma in GAMMAS] if self.gammas is None else self.gammas
        tried = [1.0] if self.kernel == "linear" else check_grid("gammas", gammas).tolist()
        functions = [(gamma, kernel_of(self.kernel, gamma)) for gamma in tried]
        ridges = check_grid("ridges", self.ridges).tolist()
        turn = _turns(X[:, : self.K_])
        surfaces = [loo_surface(X[turn == i], F[turn == i], functions, ridges, True) for i in range(turn.max() + 1)]
        sizes = np.bincount(turn).astype(np.float64)
        mean = LooSurface(
            surfaces[0].gammas, surfaces[0].ridges,
            np.average([surface.errors for surface in surfaces], axis=0, weights=sizes),
            np.average([surface.baseline for surface in surfaces], axis=0, weights=sizes), 1 / self.K_,
        )  # fmt: skip
        gamma, ridge = mean.best
        return float(mean.relative.min()), gamma, ridge


def _turns(masks: Array) -> NDArray[np.intp]:
    """For each row how many rows before it are of the same subset, shape (rows,)."""
    seen: dict[bytes, int] = {}
    turns = np.empty(len(masks), dtype=np.intp)
    for row, mask in enumerate(masks):
        key = np.packbits(mask > 0).tobytes()
        turns[row] = seen.get(key, 0)
        seen[key] = turns[row] + 1
    return turns


def _check_orders(orders: Sequence[Sequence[int]] | NDArray[np.integer], K: int) -> NDArray[np.intp]:
    lengths = {len(order) for order in orders}
    if len(lengths) != 1 or 0 in lengths:
        found = "no prompt" if not lengths else f"prompts of {', '.join(map(str, sorted(lengths)))} demonstrations"
        raise InputError("orders", found, "prompts of one length, 1 or more", "Take subsets of one size.")
    slots = np.asarray(orders)
    if not np.issubdtype(slots.dtype, np.integer) or slots.min() < 0 or slots.max() >= K:
        found = f"{slots.dtype} from {slots.min()} to {slots.max()}"
        raise InputError("orders", found, f"whole numbers 0..{K - 1}", "Number the candidates from 0.")
    ordered = np.sort(slots, axis=1)
    twice = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if twice.size:
        found = f"one candidate twice in row {twice[0]}"
        raise InputError("orders", found, "each candidate at most once", "Drop one of the two.")
    return slots.astype(np.intp)
