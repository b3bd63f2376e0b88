"""What is known of every prompt after some were asked: a Gaussian process on prompts in their order.

The outcome of a prompt is modelled on a scale where it cannot leave its range: the logarithm of a mean loss. Two
prompts are alike by the labels that stand in the same slots, by the demonstrations they have in common, by those that
stand in the same slots, and by pairs in common; how much each counts, and each slot, is found by marginal likelihood,
with weak priors. Every measured outcome has a noise of its own: prompts that were asked about few queries say less.

All but the labels adds up over demonstrations and pairs of them, so that thousands of prompts are predicted at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from math import factorial
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

from kernelsm.prompts.order_kernel import PromptOrders, check_orders
from kernelsm.prompts.ordered_alikeness import WEIGHTS, Alike, OrderedAlikeness
from kernelsm.runtime.errors import InputError

Array = NDArray[np.float64]
FEWEST = 2
"""Prompts without which there is nothing to learn from."""
MOST_ORDERS = 720
"""Most orders of one set that are averaged: all of six demonstrations."""
_FEWEST_LEFT_OUT = 8  # sets, of which one is left out by turns
_JITTER = 1e-8
_PRIOR_OF_MEAN = 1.0  # variance of the mean, in units of the spread of what was measured
_STEPS = 40
_TUNING_ROWS, _MOST_ROWS = 400, 3000  # a fit takes the cube of their number
_FLOATS_AT_ONCE = 4_000_000


@dataclass(frozen=True, eq=False)
class _Sums:
    """θ added up and weighed: over prompts with a candidate in a slot (k, K), a pair (K, K), or a row of labels."""

    in_slot: Array
    pairs: Array
    labels: NDArray[np.intp]
    of_labels: Array


class PromptPosterior:
    """Gaussian process regression of outcomes of ordered prompts.

    Parameters
    ----------
    K : int
        Number of candidates.
    classes : ndarray of int, shape (K,), optional
        Class of each candidate.
    ordered : bool
        Whether an outcome is that of one order: else of the mean over some, and nothing is said of orders.

    Attributes
    ----------
    parameters_ : ndarray
        Logarithms: of the parameters of the kernel, of the factor by which the given variances are too small, and of
        the variance that is each prompt's own.
    K_, k_ : int
        Candidates, and demonstrations in a prompt.
    given_ : int
        How many prompts there were to fit.
    rows_ : ndarray of int
        Which of them were fitted, rising: at most 3,000.
    noise_variance_ : ndarray, shape (1,)
        Variance that is each prompt's own, which nothing it has in common with others tells.
    inflation_ : float
        Factor of all standard deviations, 1 or more: how far measured prompts are from what the others say of them,
        over how far they should be.
    log_likelihood_ : float
        Of the values that were fitted, over all functions there could be.
    degrees_of_freedom_ : int
        Of these standard deviations: sets of demonstrations, less parameters.
    error_ : float
        Root mean square error of measured prompts as predicted from those of other sets, over that of the mean.

    Notes
    -----
    Where a set was measured in several orders, all of them are left out together: leaving out one would leave its
    set in. Left out is from what was fitted, without fitting again; the parameters stay (Rasmussen and Williams
    2006, section 5.4.2).

    References
    ----------
    Rasmussen and Williams (2006), Gaussian processes for machine learning, chapters 2 and 5.

    Examples
    --------
    Prompts of two demonstrations; the last one of class 1 raises the outcome.

    >>> import numpy as np
    >>> from kernelsm.prompts.prompt_posterior import PromptPosterior
    >>> rng = np.random.default_rng(0)
    >>> orders = np.array([rng.permutation(10)[:2] for _ in range(40)])
    >>> classes = np.arange(10) % 2
    >>> posterior = PromptPosterior(10, classes).fit(orders, 1.0 * classes[orders[:, 1]], np.full(40, 1e-3))
    >>> posterior.predict([[0, 1], [1, 0]])[:, 0].round(1)
    array([1., 0.])
    """

    parameters_: Array
    K_: int
    k_: int
    given_: int
    rows_: NDArray[np.intp]
    log_likelihood_: float

    def __init__(self, K: int, classes: NDArray[np.intp] | None = None, *, ordered: bool = True) -> None:
        self.K, self.classes, self.ordered = K, classes, ordered

    def fit(
        self,
        orders: Sequence[Sequence[int]] | PromptOrders,
        values: ArrayLike,
        variances: ArrayLike = 0.0,
        *,
        parameters: Array | None = None,
    ) -> Self:
        """Fit to what was measured.

        Parameters
        ----------
        orders : array-like of int, shape (n, k)
            Candidates as they stand in each prompt.
        values : array-like, shape (n,)
            On the scale that is modelled.
        variances : array-like, shape (n,), or float
            Of the noise of each value, in its unit squared.
        parameters : ndarray, optional
            Of an earlier fit, to be kept; else they are found, from at most 400 of the prompts.

        Raises
        ------
        InputError
            Fewer than 2 prompts, of several lengths, or with a candidate that there is not or twice; values of
            another number or that are not finite.
        """
        slots = check_orders(orders, self.K)
        if len(slots) < FEWEST:
            raise InputError("prompts", f"{len(slots)}", f"at least {FEWEST}", "Ask more prompts.")
        F = np.asarray(values, dtype=np.float64)
        if F.shape != (len(slots),) or not np.isfinite(F).all():
            found = f"shape {F.shape}" if F.shape != (len(slots),) else "NaN or inf"
            raise InputError("values", found, f"({len(slots)},), finite", "Give one for each prompt.")
        spread_of_noise = np.broadcast_to(np.asarray(variances, dtype=np.float64), F.shape)
        self.given_, self.K_, self.k_ = len(F), self.K, slots.shape[1]
        self.rows_ = _some(len(F), _MOST_ROWS)
        self._orders, F, spread_of_noise = slots[self.rows_], F[self.rows_], spread_of_noise[self.rows_]
        self._kernel = OrderedAlikeness(self.K, self.k_, self.classes, self.ordered)
        self._centre = float(np.mean(F))
        spread = float(np.std(F))
        self._unit = spread if spread > 1e-12 * max(abs(self._centre), 1.0) else 1.0
        y, noise = (F - self._centre) / self._unit, spread_of_noise / self._unit**2
        parts = self._kernel.parts(self._orders, self._orders)
        if parameters is None:
            rows = _some(len(y), _TUNING_ROWS)
            tuned = parts if len(rows) == len(y) else self._kernel.parts(self._orders[rows], self._orders[rows])
            parameters = self._most_likely(tuned, y[rows], noise[rows])
        self.parameters_ = parameters
        self._factor = np.linalg.cholesky(self._covariance(parts, noise, parameters))
        self._y = y
        self._theta = cho_solve((self._factor, True), y)
        halves = np.log(np.diag(self._factor) * (self._unit * np.sqrt(2 * np.pi)))
        self.log_likelihood_ = float(-0.5 * (y @ self._theta) - halves.sum())
        self.__dict__.pop("_left_out", None)
        self.__dict__.pop("_sums", None)
        return self

    @property
    def noise_variance_(self) -> Array:
        """See the class."""
        return np.array([np.exp(self.parameters_[-1]) * (self._unit * self.inflation_) ** 2])

    @property
    def degrees_of_freedom_(self) -> int:
        """See the class."""
        sets = len({tuple(row) for row in np.sort(self._orders, axis=1).tolist()})
        return max(1, sets - self._kernel.count - 1)

    @property
    def inflation_(self) -> float:
        """See the class."""
        return self._left_out[0]

    @property
    def error_(self) -> float:
        """See the class."""
        return self._left_out[1]

    def predict(self, orders: Sequence[Sequence[int]] | PromptOrders) -> Array:
        """Predict the outcomes of ordered prompts, shape (rows, 1).

        Raises
        ------
        InputError
            Prompts of another length than those of the fit, or as `fit`.
        """
        return self._predicted(self._check(orders))[:, None]

    def predict_std(self, orders: Sequence[Sequence[int]] | PromptOrders) -> Array:
        """Return the standard deviations of these predictions, without what is each prompt's own, shape (rows, 1).

        Raises
        ------
        InputError
            As `predict`.
        """
        slots = self._check(orders)
        own = float(np.exp(self.parameters_[-1]))
        _, std = self.posterior(slots)
        variance = std**2 - own * self._unit**2
        # of what was asked the systematic part is known at best to rounding
        return np.sqrt(np.maximum(variance, 1e-12 * self._unit**2))[:, None] * self.inflation_

    def predict_mean(self, orders: Sequence[Sequence[int]] | PromptOrders) -> tuple[Array, Array]:
        """Predict the mean over ordered prompts and its standard deviation, shape (1,) each.

        Raises
        ------
        InputError
            As `predict`.
        """
        return self.predict_contrast(orders, np.full(len(orders), 1 / len(orders)))

    def predict_contrast(
        self, orders: Sequence[Sequence[int]] | PromptOrders, weights: ArrayLike
    ) -> tuple[Array, Array]:
        """Predict a weighted sum over ordered prompts and its standard deviation, shape (1,) each.

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
        blocks = self._blocks(slots, max(len(slots), len(self._orders)))
        parts = np.split(w, np.cumsum([len(block) for block in blocks])[:-1])
        pairs = list(zip(parts, blocks, strict=True))
        cross = np.sum([part @ self._cross(block) for part, block in pairs], axis=0)
        prior = sum(float(part @ self._between(block, slots) @ w) for part, block in pairs)
        solved = solve_triangular(self._factor, cross, lower=True)
        variance = max(prior - float(solved @ solved), 0.0)
        value = float(w @ self._predicted(slots))
        return np.array([value]), np.array([np.sqrt(variance) * self._unit * self.inflation_])

    def predict_exchanges(self, prompt: Sequence[int], *, over_orders: bool = False) -> Array:
        """Predict a prompt with each of its demonstrations replaced by each candidate.

        Parameters
        ----------
        prompt : sequence of int, length k
        over_orders : bool
            Predict the mean over all orders, of at most six demonstrations.

        Returns
        -------
        ndarray, shape (k, K, 1)
            With a candidate that stands in another place already it means nothing.

        Raises
        ------
        InputError
            As `predict`, or more than six demonstrations `over_orders`.
        """
        (slots,) = self._check([prompt])
        every = np.tile(slots, (self.k_, self.K_, 1))
        for place in range(self.k_):
            every[place, :, place] = np.arange(self.K_)
        rows = every.reshape(-1, self.k_)
        found = self._over_orders(rows) if over_orders else self._predicted(rows)
        return found.reshape(self.k_, self.K_, 1)

    def posterior(self, orders: Sequence[Sequence[int]] | PromptOrders) -> tuple[Array, Array]:
        """Return the posterior mean and standard deviation of the outcomes of prompts, shape (m,) each.

        What is each prompt's own is doubt here, also of those that were asked: `combined` knows them. The standard
        deviation is that of the model, without `inflation_`.
        """
        slots = np.asarray(orders, dtype=np.intp)
        explained, done = np.zeros(len(slots)), 0
        for block in self._blocks(slots, len(self._orders)):
            solved = solve_triangular(self._factor, self._cross(block).T, lower=True)
            explained[done : done + len(block)] = (solved**2).sum(axis=0)
            done += len(block)
        return self._out(self._predicted(slots), self._prior() - explained)

    def combined(self) -> tuple[Array, Array]:
        """Return the posterior of the prompts that were fitted, each with what is its own, shape (n,) each."""
        cross = self._cross_with_own()
        solved = solve_triangular(self._factor, cross.T, lower=True)
        mean = cross @ self._theta * self._unit + self._centre
        return self._out(mean, self._prior() - (solved**2).sum(axis=0))

    def combined_means(self, values: Array) -> Array:
        """Return the posterior means that `combined` would give for other values of the same prompts.

        Parameters
        ----------
        values : ndarray, shape (n, sets)
            Each column in place of the values that were fitted, with the same noise and parameters.

        Returns
        -------
        ndarray, shape (n, sets)
        """
        return self._other_means(self._cross_with_own(), values)

    def means_for(self, orders: Sequence[Sequence[int]] | PromptOrders, values: Array) -> Array:
        """Return what `predict` would give for other values of the same prompts, with the same noise and parameters.

        Parameters
        ----------
        orders : array-like of int, shape (m, k)
        values : ndarray, shape (given, sets)
            Each column in place of the values that were fitted.

        Returns
        -------
        ndarray, shape (m, sets)
        """
        blocks = self._blocks(self._check(orders), len(self._orders))
        return np.concatenate([self._other_means(self._cross(block), values[self.rows_]) for block in blocks])

    def _other_means(self, cross: Array, values: Array) -> Array:
        centre = values.mean(axis=0)
        solved = cho_solve((self._factor, True), values - centre)
        return np.asarray(cross @ solved + centre)

    def _check(self, orders: Sequence[Sequence[int]] | PromptOrders) -> PromptOrders:
        """Return prompts as an array; refuse other lengths than in the fit."""
        slots = check_orders(orders, self.K_)
        if slots.shape[1] != self.k_:
            found, fix = f"{slots.shape[1]} in a prompt", "Fit prompts of that length."
            raise InputError("orders", found, f"{self.k_}, as in the fit", fix)
        return slots

    def _out(self, mean: Array, variance: Array) -> tuple[Array, Array]:
        """Means as they are, and standard deviations in their unit."""
        return mean, np.sqrt(np.maximum(variance, 1e-12)) * self._unit

    @cached_property
    def _sums(self) -> _Sums:
        in_slot = np.stack([np.bincount(column, self._theta, self.K_) for column in self._orders.T])
        holding = in_slot.sum(axis=0)
        held = np.zeros((len(self._orders), self.K_))
        held[np.arange(len(held))[:, None], self._orders] = 1.0
        pairs = (held * self._theta[:, None]).T @ held
        np.fill_diagonal(pairs, 0.0)
        _, common, in_place, of_pairs = np.exp(self.parameters_[:WEIGHTS])
        labels, which = np.zeros((0, self.k_), dtype=np.intp), np.zeros(0, dtype=np.intp)
        if self.classes is not None:
            labels, which = np.unique(self._labels(self._orders), axis=0, return_inverse=True)
        of_labels = np.bincount(which.ravel(), self._theta[: which.size], len(labels)).astype(np.float64)
        return _Sums(
            holding * (common / self.k_) + in_slot * (in_place * self.ordered / self.k_),
            pairs * (of_pairs / max(self.k_ * (self.k_ - 1), 1)), labels, of_labels,
        )  # fmt: skip

    def _predicted(self, slots: PromptOrders) -> Array:
        """Posterior mean of prompts, shape (m,)."""
        total = self._sums.in_slot[np.arange(self.k_), slots].sum(axis=1) + self._of_pairs(slots)
        if self.classes is not None:
            total += self._by_labels(self._labels(slots))
        return np.asarray((total + _PRIOR_OF_MEAN * self._theta.sum()) * self._unit + self._centre)

    def _over_orders(self, slots: PromptOrders) -> Array:
        """Posterior mean over all orders of each prompt, shape (m,)."""
        if factorial(self.k_) > MOST_ORDERS:
            found, fix = f"{self.k_} demonstrations", "Predict some orders of each, and average."
            raise InputError("masks", found, "at most 6, whose orders can all be tried", fix)
        total = self._sums.in_slot.mean(axis=0)[slots].sum(axis=1) + self._of_pairs(slots)
        if self.classes is not None:
            # the mean depends on how many of each label there are, which few prompts do not share
            labels, which = np.unique(np.sort(self.classes[slots], axis=1), axis=0, return_inverse=True)
            permuted = labels[:, np.array(list(permutations(range(self.k_))))]
            total += (
                self._by_labels(permuted.reshape(-1, self.k_)).reshape(len(labels), -1).mean(axis=1)[which.ravel()]
            )
        return np.asarray((total + _PRIOR_OF_MEAN * self._theta.sum()) * self._unit + self._centre)

    def _of_pairs(self, slots: PromptOrders) -> Array:
        """What pairs of demonstrations add to the posterior mean, shape (m,)."""
        total = np.zeros(len(slots))
        for first in range(self.k_):
            for second in range(first):
                total += 2 * self._sums.pairs[slots[:, first], slots[:, second]]
        return total

    def _labels(self, slots: PromptOrders) -> NDArray[np.intp]:
        """Labels of prompts in their slots; rising where their order does not count."""
        assert self.classes is not None
        labels = self.classes[slots]
        return labels if self.ordered else np.sort(labels, axis=1)

    def _by_labels(self, labels: NDArray[np.intp]) -> Array:
        """What the labels of prompts add to the posterior mean, shape (m,)."""
        rows, which = np.unique(labels, axis=0, return_inverse=True)
        known = self._sums.labels
        parts = [
            self._kernel.of_labels(self._kernel.labels_differ(block, known), self.parameters_) @ self._sums.of_labels
            for block in self._blocks(rows, len(known))
        ]
        return np.asarray(np.concatenate(parts)[which.ravel()])

    def _blocks(self, slots: PromptOrders, width: int) -> list[PromptOrders]:
        """Parts of some prompts whose kernel with `width` others takes some tens of megabytes."""
        size = max(1, _FLOATS_AT_ONCE // (max(width, 1) * max(self._kernel.rates, 1)))
        return [slots[start : start + size] for start in range(0, len(slots), size)]

    def _cross(self, orders: PromptOrders) -> Array:
        return self._between(orders, self._orders)

    def _between(self, first: PromptOrders, second: PromptOrders) -> Array:
        return self._kernel.gram(self._kernel.parts(first, second), self.parameters_) + _PRIOR_OF_MEAN

    def _cross_with_own(self) -> Array:
        own = float(np.exp(self.parameters_[-1]))
        return self._cross(self._orders) + own * np.eye(len(self._orders))

    def _prior(self) -> float:
        return self._kernel.own(self.parameters_) + _PRIOR_OF_MEAN + float(np.exp(self.parameters_[-1]))

    @cached_property
    def _left_out(self) -> tuple[float, float]:
        """How measured prompts differ from what the other sets say of them: in doubts, and against the mean."""
        sets: dict[tuple[int, ...], list[int]] = {}
        for row, members in enumerate(np.sort(self._orders, axis=1).tolist()):
            sets.setdefault(tuple(members), []).append(row)
        if len(sets) < _FEWEST_LEFT_OUT:
            return 1.0, 1.0
        inverse = cho_solve((self._factor, True), np.eye(len(self._y)))
        squares, wrong, base, n = 0.0, 0.0, 0.0, len(self._y)
        total = float(self._y.sum())
        for rows in sets.values():
            covariance = np.linalg.inv(inverse[np.ix_(rows, rows)])
            missed = covariance @ self._theta[rows]
            squares += float(missed @ inverse[np.ix_(rows, rows)] @ missed)
            wrong += float(missed @ missed)
            mean = (total - float(self._y[rows].sum())) / (n - len(rows))
            base += float(((self._y[rows] - mean) ** 2).sum())
        return max(1.0, float(np.sqrt(squares / n))), float(np.sqrt(wrong / base)) if base > 0 else 1.0

    def _covariance(self, parts: Alike, noise: Array, parameters: Array) -> Array:
        total = self._kernel.gram(parts, parameters) + _PRIOR_OF_MEAN
        total[np.diag_indices(len(noise))] += noise * np.exp(parameters[-2]) + np.exp(parameters[-1]) + _JITTER
        return total

    def _most_likely(self, parts: Alike, y: Array, noise: Array) -> Array:
        """Parameters of the highest posterior density under weak priors, to two digits."""
        start = np.concatenate([self._kernel.start(), np.log([2.0, 0.1])])
        widths = np.array([1.5] * WEIGHTS + [1.2] * self._kernel.rates + [1.0, 1.5])

        def badness(parameters: Array) -> tuple[float, Array]:
            try:
                factor = np.linalg.cholesky(self._covariance(parts, noise, parameters))
            except np.linalg.LinAlgError:
                return 1e9, np.zeros(len(parameters))
            inverse = cho_solve((factor, True), np.eye(len(y)))
            theta = inverse @ y
            # minus the logarithm of the likelihood changes with the covariance by half of this
            weigh = inverse - np.outer(theta, theta)
            own = np.diag(weigh)
            slopes = 0.5 * np.concatenate(
                [
                    self._kernel.slopes(parts, parameters, weigh),
                    [np.exp(parameters[-2]) * (own @ noise), np.exp(parameters[-1]) * own.sum()],
                ]
            )
            away = (parameters - start) / widths
            value = 0.5 * float(y @ theta) + float(np.log(np.diag(factor)).sum()) + 0.5 * float(away @ away)
            return value, slopes + away / widths

        bounds = [(value - 4 * width, value + 4 * width) for value, width in zip(start, widths, strict=True)]
        found = minimize(badness, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS})
        return np.asarray(np.round(found.x, 2))


def _some(count: int, most: int) -> NDArray[np.intp]:
    """All rows, or so many of them at random (the same each time), rising."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).permutation(count)[:most])
