"""A surrogate of ordered prompts (paper appendix B.3): which demonstrations are in, and which label where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from math import factorial
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernelsm.prompts.exchanges import SlotFactors
from kernelsm.prompts.order_kernel import PromptKernel, PromptOrders, check_orders
from kernelsm.runtime.checks import check_choice
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import first_least
from kernelsm.surrogates.posterior import Posterior
from kernelsm.surrogates.subset_distributions import Array
from kernelsm.surrogates.tuning import ALIKE, FEWEST_ROWS, RIDGES, LooSurface, check_grid, loo_surface

GAMMAS = tuple(float(f"{gamma:.4g}") for gamma in np.geomspace(1e-2, 30.0, 10))
"""Of "rbf", in units of 1/K."""
WEIGHTS = tuple((slots, labels) for labels in (0.0, 1.0, 4.0) for slots in (0.0, 1.0, 4.0))
"""Weights of who stands where, and of which label stands where, relative to who is in."""
MOST_ORDERS = 720
"""Most orders of one subset that are averaged: all of six demonstrations."""
_FLOATS_AT_ONCE = 4_000_000


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
    slots = check_orders(orders, K)
    indicators = np.eye(K)[slots]
    parts = [indicators]
    if labels is not None:
        classes = _check_labels(labels, K)
        parts.append(np.eye(int(classes.max()) + 1)[classes[slots]])
    if not ordered:
        parts = [np.repeat(part.mean(axis=1, keepdims=True), slots.shape[1], axis=1) for part in parts]
    return np.concatenate([indicators.sum(axis=1), *(part.reshape(len(slots), -1) for part in parts)], axis=1)


class PositionSurrogate:
    """Kernel ridge regression on (s, order): outcomes of single orders, or their mean over all orders of a subset.

    The columns of the slots are scaled by two weights (see `position_features`): with (0, 0) only s is seen. γ, λ and
    the weights are those of least leave-one-out error (of equal ones the first weights), which is taken over prompts
    of different subsets (the first order of each, then the second, ...): else leaving out a prompt would leave its
    subset in.

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
    tuning_rows : int, optional
        At most this many prompts choose γ, λ and the weights: of at most half as many subsets, drawn at random where
        there are more, their first orders (two or more of each). None takes all; an eigendecomposition for each pair
        of γ and weights grows with the cube of the subsets.
    most_rows : int, optional
        At most this many prompts are fitted: the first order of each subset, then the second of each, and so on, the
        last of them drawn at random. None fits all; time and memory grow with the cube and the square.

    Attributes
    ----------
    weights_ : tuple of float
        What was chosen.
    gamma_, ridge_ : float
        γ (1 for "linear", which has none) and λ that were chosen.
    error_ : float
        Their leave-one-out error over that of the mean, mean over targets: 1 is no better than the mean.
    given_ : int
        How many prompts there were to fit.
    rows_ : ndarray of int
        Which of them were fitted, rising.
    noise_variance_ : ndarray, shape (q,)
        With which an outcome of a single order scatters about what is fitted.
    degrees_of_freedom_ : int
        What the standard deviations were estimated from.
    """

    weights_: tuple[float, float]
    gamma_: float
    ridge_: float
    error_: float
    given_: int
    rows_: NDArray[np.intp]
    noise_variance_: Array
    degrees_of_freedom_: int
    K_: int
    k_: int

    def __init__(
        self,
        *,
        kernel: Literal["rbf", "linear"] = "rbf",
        weights: Sequence[tuple[float, float]] = WEIGHTS,
        gammas: Sequence[float] | None = None,
        ridges: Sequence[float] = RIDGES,
        ordered: bool = True,
        tuning_rows: int | None = 400,
        most_rows: int | None = 3000,
    ) -> None:
        check_choice("kernel", kernel, ("rbf", "linear"))
        pairs = np.array([list(pair) for pair in weights], dtype=np.float64)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or not ((pairs >= 0) & (pairs < np.inf)).all():
            raise InputError(
                "weights", repr(weights)[:80], "pairs of finite numbers from 0", "Use (0, 0) for s alone."
            )
        for place, most in (("tuning_rows", tuning_rows), ("most_rows", most_rows)):
            if most is not None and most < 2 * FEWEST_ROWS:
                raise InputError(place, f"{most}", f"None or at least {2 * FEWEST_ROWS}", "Use the default.")
        self.kernel, self.weights, self.ordered = kernel, tuple(weights), ordered
        self.gammas, self.ridges = gammas, tuple(ridges)
        self.tuning_rows, self.most_rows = tuning_rows, most_rows

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
        slots = check_orders(orders, K)
        classes = None if labels is None else _check_labels(labels, K)
        F = np.asarray(values, dtype=np.float64)
        if F.ndim != 2 or len(F) != len(slots) or not np.isfinite(F).all():
            found = f"shape {F.shape}" if F.ndim != 2 or len(F) != len(slots) else "NaN or inf"
            raise InputError("values", found, f"({len(slots)}, q), finite", "Give one row for each order.")
        self.K_, self.k_, self.given_ = K, slots.shape[1], len(slots)
        self._classes = np.zeros(K, dtype=np.intp) if classes is None else classes
        # without labels their weight has nothing to weigh
        pairs = dict.fromkeys(
            (float(slot), float(label) if classes is not None else 0.0) for slot, label in self.weights
        )
        subset, turn = _turns(slots)
        tuning = _tuning_rows(subset, turn, self.tuning_rows)
        parts = [tuning[turn[tuning] == i] for i in range(int(turn[tuning].max()) + 1)]
        tuned = [(*self._tune([(slots[rows], F[rows]) for rows in parts], pair), pair) for pair in pairs]
        best = first_least(np.sqrt([error for error, *_ in tuned]), tolerance=ALIKE)
        self.error_, self.gamma_, self.ridge_, self.weights_ = tuned[best]
        self._kernel = self._kernel_of(self.gamma_, self.weights_)
        self.rows_ = _fitted_rows(subset, turn, self.most_rows)
        self._slots = slots[self.rows_]
        self._posterior = Posterior(self._kernel.gram(self._slots, self._slots), self.ridge_, True)
        self._theta, self._intercept, self._scale = self._posterior.fit(F[self.rows_])
        self.noise_variance_ = self._scale * self.ridge_
        self.degrees_of_freedom_ = self._posterior.degrees_of_freedom(len(self.rows_))
        factorises = self.kernel == "rbf" and self.ordered
        self._factors = SlotFactors(self._kernel, self._slots) if factorises else None
        return self

    def predict(self, orders: Sequence[Sequence[int]] | NDArray[np.integer]) -> Array:
        """Predict the outcomes of ordered prompts, shape (rows, q).

        Raises
        ------
        InputError
            As `position_features`, or prompts of another length than those of the fit.
        """
        return self._predict(self._check(orders), self._kernel)

    def predict_std(self, orders: Sequence[Sequence[int]] | NDArray[np.integer]) -> Array:
        """Return the posterior standard deviations of these predictions, shape (rows, q).

        Raises
        ------
        InputError
            As `predict`.
        """
        parts = [
            self._posterior.variance(self._kernel.gram(self._slots, block), self._kernel.diagonal(block), 1.0)
            for block in self._blocks(self._check(orders), len(self._slots))
        ]
        return np.asarray(np.sqrt(np.outer(np.concatenate(parts), self._scale)))

    def predict_mean(self, orders: Sequence[Sequence[int]] | NDArray[np.integer]) -> tuple[Array, Array]:
        """Predict the mean over ordered prompts and its posterior standard deviation, shape (q,) each.

        Raises
        ------
        InputError
            As `predict`.
        """
        slots = self._check(orders)
        blocks = self._blocks(slots, max(len(slots), len(self._slots)))
        cross = sum(self._kernel.gram(block, self._slots).sum(axis=0) for block in blocks) / len(slots)
        prior = sum(self._kernel.gram(block, slots).sum() for block in blocks) / len(slots) ** 2
        variance = self._posterior.variance(np.asarray(cross)[:, None], np.array([prior]), 1.0)
        return np.asarray(cross @ self._theta + self._intercept), np.sqrt(variance[0] * self._scale)

    def predict_contrast(
        self, orders: Sequence[Sequence[int]] | NDArray[np.integer], weights: ArrayLike
    ) -> tuple[Array, Array]:
        """Predict a weighted sum over ordered prompts and its posterior standard deviation, shape (q,) each.

        Parameters
        ----------
        orders : array-like of int, shape (rows, k)
        weights : array-like, shape (rows,)
            1 for some and -1 for others, say, over how many there are: then it is the difference of two means.

        Raises
        ------
        InputError
            As `predict`, or another number of weights than of prompts.
        """
        slots, w = self._check(orders), np.asarray(weights, dtype=np.float64)
        if w.shape != (len(slots),):
            raise InputError("weights", f"shape {w.shape}", f"({len(slots)},)", "Give one for each prompt.")
        blocks = self._blocks(slots, max(len(slots), len(self._slots)))
        parts = np.split(w, np.cumsum([len(block) for block in blocks])[:-1])
        cross = sum(part @ self._kernel.gram(block, self._slots) for part, block in zip(parts, blocks, strict=True))
        prior = sum(part @ self._kernel.gram(block, slots) @ w for part, block in zip(parts, blocks, strict=True))
        total = float(w.sum())
        variance = self._posterior.variance(np.asarray(cross)[:, None], np.array([prior]), total)
        return np.asarray(cross @ self._theta + self._intercept * total), np.sqrt(variance[0] * self._scale)

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
        self._check_length()
        permuted = np.array(list(permutations(range(self.k_))))
        orders = np.nonzero(masks)[1].reshape(len(masks), self.k_)[:, permuted]  # (m, orders, k)
        predicted = self._predict(orders.reshape(-1, self.k_), self._kernel)
        return np.asarray(predicted.reshape(len(masks), len(permuted), -1).mean(axis=1))

    def predict_exchanges(self, prompt: Sequence[int], *, over_orders: bool = False) -> Array:
        """Predict a prompt with each of its demonstrations replaced by each candidate.

        Parameters
        ----------
        prompt : sequence of int, length k
        over_orders : bool
            Predict the mean over all orders, of at most six demonstrations.

        Returns
        -------
        ndarray, shape (k, K, q)
            With a candidate that stands in another place already it means nothing.

        Raises
        ------
        InputError
            As `predict`, or more than six demonstrations `over_orders`.
        """
        (slots,) = self._check([prompt])
        if over_orders:
            self._check_length()
        if self._factors is not None:
            exchanges = self._factors.mean_exchanges if over_orders else self._factors.exchanges
            return exchanges(slots, self._theta) + self._intercept
        every = np.tile(slots, (self.k_, self.K_, 1))
        for place in range(self.k_):
            every[place, :, place] = np.arange(self.K_)
        # the mean of a linear kernel over orders is that of the mean features
        kernel = replace(self._kernel, ordered=self.ordered and not over_orders)
        return self._predict(every.reshape(-1, self.k_), kernel).reshape(self.k_, self.K_, -1)

    def _check(self, orders: Sequence[Sequence[int]] | NDArray[np.integer]) -> PromptOrders:
        """Return prompts as an array; refuse other lengths than in the fit."""
        slots = check_orders(orders, self.K_)
        if slots.shape[1] != self.k_:
            found, fix = f"{slots.shape[1]} in a prompt", "Fit prompts of that length."
            raise InputError("orders", found, f"{self.k_}, as in the fit", fix)
        return slots

    def _check_length(self) -> None:
        if factorial(self.k_) > MOST_ORDERS:
            found, fix = f"{self.k_} demonstrations", "Predict some orders of each, and average."
            raise InputError("masks", found, "at most 6, whose orders can all be tried", fix)

    def _predict(self, slots: PromptOrders, kernel: PromptKernel) -> Array:
        blocks = self._blocks(slots, len(self._slots))
        parts = [kernel.gram(block, self._slots) @ self._theta for block in blocks]
        return np.asarray(np.concatenate(parts) + self._intercept)

    def _blocks(self, slots: PromptOrders, width: int) -> list[PromptOrders]:
        """Parts of some prompts whose kernel with `width` others takes some tens of megabytes."""
        size = max(1, _FLOATS_AT_ONCE // width)
        return [slots[start : start + size] for start in range(0, len(slots), size)]

    def _kernel_of(self, gamma: float, weights: tuple[float, float]) -> PromptKernel:
        return PromptKernel(self.kernel, gamma, weights, self.K_, self._classes, self.ordered)

    def _tune(
        self, parts: list[tuple[PromptOrders, Array]], weights: tuple[float, float]
    ) -> tuple[float, float, float]:
        """Least leave-one-out error within the parts, and its γ and λ."""
        gammas = [gamma / self.K_ for gamma in GAMMAS] if self.gammas is None else self.gammas
        tried = [1.0] if self.kernel == "linear" else check_grid("gammas", gammas).tolist()
        functions = [(gamma, self._kernel_of(gamma, weights)) for gamma in tried]
        ridges = check_grid("ridges", self.ridges).tolist()
        surfaces = [loo_surface(slots, F, functions, ridges, True) for slots, F in parts]
        sizes = np.array([len(F) for _, F in parts], dtype=np.float64)
        mean = LooSurface(
            surfaces[0].gammas, surfaces[0].ridges,
            np.average([surface.errors for surface in surfaces], axis=0, weights=sizes),
            np.average([surface.baseline for surface in surfaces], axis=0, weights=sizes), 1 / self.K_,
        )  # fmt: skip
        gamma, ridge = mean.best
        return float(mean.relative.min()), gamma, ridge


def _turns(slots: PromptOrders) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each row the number of its subset, and how many rows before it are of the same; shape (rows,) each."""
    number: dict[bytes, int] = {}
    seen: list[int] = []
    subset, turn = np.empty(len(slots), dtype=np.intp), np.empty(len(slots), dtype=np.intp)
    for row, members in enumerate(np.sort(slots, axis=1)):
        subset[row] = number.setdefault(members.tobytes(), len(number))
        if subset[row] == len(seen):
            seen.append(0)
        turn[row] = seen[subset[row]]
        seen[subset[row]] += 1
    return subset, turn


def _tuning_rows(subset: NDArray[np.intp], turn: NDArray[np.intp], most: int | None) -> NDArray[np.intp]:
    """Rows of the first orders of all subsets, or of some drawn at random (seed 0): at most `most`."""
    if most is None:
        return np.arange(len(subset))
    count = int(subset.max()) + 1
    drawn = np.random.default_rng(0).permutation(count)[: most // 2]
    return np.flatnonzero(np.isin(subset, drawn) & (turn < most // len(drawn)))


def _fitted_rows(subset: NDArray[np.intp], turn: NDArray[np.intp], most: int | None) -> NDArray[np.intp]:
    """At most `most` rows: the first orders of all subsets, then the second; the last at random (seed 0)."""
    if most is None or len(subset) <= most:
        return np.arange(len(subset))
    drawn = np.random.default_rng(0).permutation(int(subset.max()) + 1)
    return np.sort(np.lexsort((drawn[subset], turn))[:most])


def _check_labels(labels: ArrayLike, K: int) -> NDArray[np.intp]:
    classes = np.asarray(labels)
    if classes.shape != (K,) or not np.issubdtype(classes.dtype, np.integer) or classes.min() < 0:
        found = f"{classes.dtype} of shape {classes.shape}"
        raise InputError("labels", found, f"{K} whole numbers from 0", "Give the class of each candidate.")
    return classes.astype(np.intp)
