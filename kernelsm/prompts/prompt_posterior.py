"""What is known of every prompt after some were asked: a Gaussian process on prompts in their order.

The outcome of a prompt is modelled on a scale where it cannot leave its range: the logarithm of a mean loss. Two
prompts are alike by the labels that stand in the same slots, by the demonstrations they have in common, and by those
that stand in the same slots; how much each counts, and each slot, is found by marginal likelihood, with weak priors.
Every measured outcome has a noise of its own: prompts that were asked about few queries say less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

from kernelsm.prompts.order_kernel import PromptOrders
from kernelsm.runtime.errors import InputError

Array = NDArray[np.float64]
FEWEST = 8
"""Prompts without which there is nothing to learn from."""
_JITTER = 1e-8
_PRIOR_OF_MEAN = 1.0  # variance of the mean, in units of the spread of what was measured
_STEPS = 40


@dataclass(frozen=True, eq=False)
class OrderedAlikeness:
    """A kernel on ordered prompts, the sum of three: labels in their slots, demonstrations in common, and in place.

    Parameters
    ----------
    K, k : int
    classes : ndarray of int, shape (K,), optional
        Class of each candidate; without it labels do not count.
    """

    K: int
    k: int
    classes: NDArray[np.intp] | None

    @property
    def count(self) -> int:
        """Number of parameters, all logarithms: three weights, and a rate for each slot where there are labels."""
        return 3 + (self.k if self.classes is not None else 0)

    def start(self) -> Array:
        """Parameters that are likely before anything was seen."""
        labels = np.log(0.5) if self.classes is not None else -9.0
        return np.concatenate([[labels, np.log(0.3), np.log(0.1)], np.full(self.count - 3, np.log(0.5))])

    def parts(self, first: PromptOrders, second: PromptOrders) -> tuple[NDArray[np.bool_] | None, Array, Array]:
        """What `gram` weighs: where labels differ (m, m', k), and the shares in common and in place (m, m')."""
        differs = None
        if self.classes is not None:
            differs = self.classes[first][:, None] != self.classes[second][None]
        held = np.zeros((2, max(len(first), len(second)), self.K))
        for side, prompts in enumerate((first, second)):
            held[side, np.arange(len(prompts))[:, None], prompts] = 1.0
        common = held[0, : len(first)] @ held[1, : len(second)].T / self.k
        in_place = np.zeros((len(first), len(second)))
        for slot in range(self.k):
            in_place += first[:, slot, None] == second[:, slot]
        return differs, common, in_place / self.k

    def gram(self, parts: tuple[NDArray[np.bool_] | None, Array, Array], parameters: Array) -> Array:
        """Kernel of all pairs."""
        differs, common, in_place = parts
        weights = np.exp(parameters[:3])
        total = weights[1] * common + weights[2] * in_place
        if differs is not None:
            rates = np.exp(parameters[3 : 3 + self.k])
            total += weights[0] * np.exp(-(differs.astype(np.float64) @ rates))
        return np.asarray(total)

    def own(self, parameters: Array) -> float:
        """Kernel of a prompt with itself."""
        weights = np.exp(parameters[:3])
        return float(weights[1:].sum() + (weights[0] if self.classes is not None else 0.0))


class PromptPosterior:
    """Gaussian process regression of outcomes of ordered prompts.

    Parameters
    ----------
    K : int
        Number of candidates.
    classes : ndarray of int, shape (K,), optional
        Class of each candidate.

    Attributes
    ----------
    parameters_ : ndarray
        Logarithms: of the parameters of the kernel, of the factor by which the given variances are too small, and of
        the variance that is each prompt's own.

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
    >>> mean, std = posterior.predict(np.array([[0, 1], [1, 0]]))
    >>> mean.round(1), bool(std.max() < 0.3)
    (array([1., 0.]), True)
    """

    parameters_: Array

    def __init__(self, K: int, classes: NDArray[np.intp] | None = None) -> None:
        self.K, self.classes = K, classes

    def fit(self, orders: PromptOrders, values: Array, variances: Array, *, parameters: Array | None = None) -> Self:
        """Fit to what was measured.

        Parameters
        ----------
        orders : ndarray of int, shape (n, k)
        values : ndarray, shape (n,)
            On the scale that is modelled.
        variances : ndarray, shape (n,)
            Of the noise of each value, in its unit squared.
        parameters : ndarray, optional
            Of an earlier fit, to be kept; else they are found.

        Raises
        ------
        InputError
            Fewer than 8 prompts.
        """
        if len(orders) < FEWEST:
            raise InputError("prompts", f"{len(orders)}", f"at least {FEWEST}", "Ask more prompts.")
        self._orders = np.asarray(orders, dtype=np.intp)
        self._kernel = OrderedAlikeness(self.K, self._orders.shape[1], self.classes)
        self._centre = float(np.mean(values))
        spread = float(np.std(values))
        self._unit = spread if spread > 1e-12 * max(abs(self._centre), 1.0) else 1.0
        y, noise = (values - self._centre) / self._unit, variances / self._unit**2
        parts = self._kernel.parts(self._orders, self._orders)
        found = self._most_likely(parts, y, noise) if parameters is None else parameters
        self.parameters_ = found
        self._factor = np.linalg.cholesky(self._covariance(parts, noise, found))
        self._y = y
        self._theta = cho_solve((self._factor, True), y)
        return self

    def predict(self, orders: PromptOrders) -> tuple[Array, Array]:
        """Return the posterior mean and standard deviation of the outcomes of prompts, shape (m,) each.

        What is each prompt's own is doubt here, also of those that were asked: `combined` knows them.
        """
        cross = self._cross(orders)
        solved = solve_triangular(self._factor, cross.T, lower=True)
        variance = self._prior() - (solved**2).sum(axis=0)
        return self._out(cross @ self._theta, variance)

    def combined(self) -> tuple[Array, Array]:
        """Return the posterior of the prompts that were fitted, each with what is its own, shape (n,) each."""
        own = float(np.exp(self.parameters_[-1]))
        cross = self._cross(self._orders) + own * np.eye(len(self._orders))
        solved = solve_triangular(self._factor, cross.T, lower=True)
        return self._out(cross @ self._theta, self._prior() - (solved**2).sum(axis=0))

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
        own = float(np.exp(self.parameters_[-1]))
        cross = self._cross(self._orders) + own * np.eye(len(self._orders))
        scaled = (values - self._centre) / self._unit
        return np.asarray(cross @ cho_solve((self._factor, True), scaled) * self._unit + self._centre)

    def _out(self, mean: Array, variance: Array) -> tuple[Array, Array]:
        return mean * self._unit + self._centre, np.sqrt(np.maximum(variance, 1e-12)) * self._unit

    def _cross(self, orders: PromptOrders) -> Array:
        parts = self._kernel.parts(np.asarray(orders, dtype=np.intp), self._orders)
        return self._kernel.gram(parts, self.parameters_) + _PRIOR_OF_MEAN

    def _prior(self) -> float:
        return self._kernel.own(self.parameters_) + _PRIOR_OF_MEAN + float(np.exp(self.parameters_[-1]))

    def _covariance(
        self, parts: tuple[NDArray[np.bool_] | None, Array, Array], noise: Array, parameters: Array
    ) -> Array:
        total = self._kernel.gram(parts, parameters) + _PRIOR_OF_MEAN
        total[np.diag_indices(len(noise))] += noise * np.exp(parameters[-2]) + np.exp(parameters[-1]) + _JITTER
        return total

    def _most_likely(self, parts: tuple[NDArray[np.bool_] | None, Array, Array], y: Array, noise: Array) -> Array:
        """Parameters of the highest posterior density under weak priors, to two digits."""
        start = np.concatenate([self._kernel.start(), np.log([2.0, 0.1])])
        widths = np.array([1.5] * 3 + [1.2] * (len(start) - 5) + [1.0, 1.5])

        def badness(parameters: Array) -> float:
            try:
                factor = np.linalg.cholesky(self._covariance(parts, noise, parameters))
            except np.linalg.LinAlgError:
                return 1e9
            residual = solve_triangular(factor, y, lower=True)
            prior = 0.5 * (((parameters - start) / widths) ** 2).sum()
            return float(0.5 * residual @ residual + np.log(np.diag(factor)).sum() + prior)

        bounds = [(value - 4 * width, value + 4 * width) for value, width in zip(start, widths, strict=True)]
        found = minimize(badness, start, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS})
        return np.asarray(np.round(found.x, 2))
