"""A surrogate of ordered prompts (paper appendix B.3): which demonstrations are in, and in which slot each stands."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import factorial
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.kernel import KernelSurrogate, default_gammas, kernel_of
from kernelsm.surrogates.laws import Array
from kernelsm.surrogates.tuning import RIDGES, LooSurface, check_grid, loo_surface

WEIGHTS = (0.0, 0.25, 0.5, 1.0)
MOST_ORDERS = 720
"""Most orders of one subset that are averaged: all of six demonstrations."""


def position_features(orders: Sequence[Sequence[int]] | NDArray[np.integer], K: int) -> Array:
    """Write ordered prompts as 0/1: which candidate is in, and which one stands in each slot.

    Parameters
    ----------
    orders : array-like of int, shape (rows, k)
        Candidates as they stand in the prompt, each at most once.
    K : int
        Number of candidates.

    Returns
    -------
    ndarray, shape (rows, K + k * K)
        The mask, then for each slot who stands in it. The order of one subset changes the second part alone; two
        prompts agree there in as many columns as they have candidates in the same slots.

    Raises
    ------
    InputError
        Prompts of several lengths, no candidate, one twice in a prompt, or one that there is not.
    """
    slots = _check_orders(orders, K)
    rows, k = slots.shape
    found = np.zeros((rows, k + 1, K))
    row = np.arange(rows)[:, None]
    found[row, 1 + np.arange(k), slots] = 1.0
    found[:, 0] = found[:, 1:].sum(axis=1)
    return found.reshape(rows, -1)


class PositionSurrogate:
    """Kernel ridge regression on (s, order): outcomes of single orders, or their mean over all orders of a subset.

    The slots' columns are scaled by a weight, which is the say that the order has: with 0 only s is seen. γ, λ and
    the weight are those of least leave-one-out error, which is taken over prompts of different subsets (the first
    order of each, then the second, ...): else leaving out a prompt would leave its subset in. All rows fit.

    Parameters
    ----------
    kernel : {"rbf", "linear"}
        "linear" is ridge regression on s and the slots.
    weights : sequence of float
        Weights tried, 0 or more.
    gammas : sequence of float, optional
        γ tried by "rbf"; as `KernelSurrogateCV` with K candidates where not given.
    ridges : sequence of float
        λ tried, above 0.

    Attributes
    ----------
    weight_, gamma_, ridge_ : float
        What was chosen.
    error_ : float
        Their leave-one-out error over that of the mean, mean over targets: 1 is no better than the mean.
    surrogate_ : KernelSurrogate
        Fitted on the weighted features.
    """

    weight_: float
    error_: float
    surrogate_: KernelSurrogate

    def __init__(
        self,
        *,
        kernel: Literal["rbf", "linear"] = "rbf",
        weights: Sequence[float] = WEIGHTS,
        gammas: Sequence[float] | None = None,
        ridges: Sequence[float] = RIDGES,
    ) -> None:
        if kernel not in ("rbf", "linear"):
            raise InputError("kernel", repr(kernel)[:80], "'rbf' or 'linear'", "Choose one of these.")
        if not len(weights) or not all(0 <= weight < np.inf for weight in weights):
            raise InputError("weights", repr(list(weights))[:80], "finite numbers from 0", "0 leaves the order out.")
        self.kernel, self.weights, self.gammas, self.ridges = kernel, tuple(weights), gammas, tuple(ridges)

    def fit(self, orders: Sequence[Sequence[int]] | NDArray[np.integer], values: ArrayLike, K: int) -> Self:
        """Fit to single-order outcomes.

        Parameters
        ----------
        orders : array-like of int, shape (rows, k)
            See `position_features`.
        values : array-like, shape (rows, q)
            The outcome of each, as `Prompting.by_order` gives them.
        K : int
            Number of candidates.

        Raises
        ------
        InputError
            As `position_features`, or values of another number of rows or that are not finite.
        """
        features = position_features(orders, K)
        F = np.asarray(values, dtype=np.float64)
        if F.ndim != 2 or len(F) != len(features) or not np.isfinite(F).all():
            found = f"shape {F.shape}" if F.ndim != 2 or len(F) != len(features) else "NaN or inf"
            raise InputError("values", found, f"({len(features)}, q), finite", "Give one row for each order.")
        self.K_, self.k_ = K, features.shape[1] // K - 1
        tuned = [(*self._tune(self._weighted(features, weight), F), weight) for weight in self.weights]
        self.error_, self.gamma_, self.ridge_, self.weight_ = min(tuned, key=lambda one: one[0])
        gamma = None if self.kernel == "linear" else self.gamma_
        self.surrogate_ = KernelSurrogate(kernel=self.kernel, gamma=gamma, ridge=self.ridge_)
        self.surrogate_.fit(self._weighted(features, self.weight_), F)
        return self

    def predict(self, orders: Sequence[Sequence[int]] | NDArray[np.integer]) -> Array:
        """Predict the outcomes of ordered prompts, shape (rows, q).

        Raises
        ------
        InputError
            As `position_features`, or prompts of another length than those of the fit.
        """
        features = position_features(orders, self.K_)
        if features.shape[1] != (self.k_ + 1) * self.K_:
            found, fix = f"{features.shape[1] // self.K_ - 1} in a prompt", "Fit prompts of that length."
            raise InputError("orders", found, f"{self.k_}, as in the fit", fix)
        return np.asarray(self.surrogate_.predict(self._weighted(features, self.weight_)))

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
        return np.stack([self.predict(list(permutations(np.flatnonzero(mask)))).mean(axis=0) for mask in masks])

    def _weighted(self, features: Array, weight: float) -> Array:
        if not weight:
            return features[:, : self.K_]
        return np.concatenate([features[:, : self.K_], weight * features[:, self.K_ :]], axis=1)

    def _tune(self, X: Array, F: Array) -> tuple[float, float, float]:
        """Least leave-one-out error, and its γ and λ."""
        gammas = default_gammas(self.K_) if self.gammas is None else self.gammas
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
