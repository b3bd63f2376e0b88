"""Proposition 3.1: what the coefficients of a linear surrogate are, on every subset of a real logistic regression.

Three statements about β, the least-squares coefficients over subsets that hold each task with probability p:

- for any F at all, β_k is the p-biased Banzhaf value E[F | k in] - E[F | k out];
- β_k = LOO_k - (1-p) Σ_j I_kj + O((1-p)²), with leave-one-out and second differences at all tasks;
- the paper's β = ∇F + (p-1) H 1 + (1-2p)/2 diag(H), with derivatives by continuous task weights, is exact where F is
  a quadratic polynomial of them, and an approximation elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from kernelsm.outcomes.designs import all_masks
from kernelsm.paper.intervals import LEVEL, Estimate
from kernelsm.paper.logistic import Array, BinaryData, breast_cancer, fit_logistic, losses

TASKS, RIDGE = 12, 0.01
SUBSETS = (200, 400, 800, 1600, 3200, 6400)
_STEP = 1e-3  # of finite differences; the fits are exact to 1e-11

Outcome = Callable[[Array], Array]
"""Task weights, shape (m, K), to F, shape (m,)."""


@dataclass(frozen=True)
class WeightedRegression:
    """Logistic regression on K tasks with a weight each; F is the mean test loss in nats (paper eq. 1).

    Parameters
    ----------
    data : BinaryData
    task_of : ndarray of int, shape (n,)
    """

    data: BinaryData
    task_of: NDArray[np.int64]

    def __call__(self, task_weights: Array) -> Array:
        """Retrain for every row of task weights, shape (m, K); a row of zeros leaves w = 0."""
        total = task_weights.sum(axis=1, keepdims=True)
        shares = task_weights / np.where(total > 0, total, 1.0) / np.bincount(self.task_of)
        fitted = fit_logistic(self.data.x, self.data.y, shares[:, self.task_of], RIDGE)
        return np.asarray(losses(self.data.test_x, self.data.test_y, fitted).mean(axis=1))


def regression_on_tasks(seed: int = 0, tasks: int = TASKS) -> WeightedRegression:
    """Return breast cancer samples as tasks of equal size, drawn at random."""
    data = breast_cancer(seed)
    task_of = np.random.default_rng([seed, 2]).permutation(np.arange(len(data.y)) % tasks)
    return WeightedRegression(data, task_of)


@dataclass(frozen=True)
class Polynomial:
    """A quadratic polynomial of task weights, for which the paper's formula is exact."""

    linear: Array
    second: Array

    def __call__(self, task_weights: Array) -> Array:
        """F of every row of task weights, shape (m, K)."""
        bent = np.einsum("mi,ij,mj->m", task_weights, self.second, task_weights)
        return np.asarray(task_weights @ self.linear + bent / 2)


def random_polynomial(seed: int = 0, tasks: int = TASKS) -> Polynomial:
    """Draw one; squares of single weights are in it, too."""
    rng = np.random.default_rng([seed, 3])
    second = rng.normal(size=(tasks, tasks))
    return Polynomial(rng.normal(size=tasks), second + second.T)


@dataclass(frozen=True)
class Coefficients:
    """β over all subsets, and what the formulas say of it; each of shape (K,)."""

    least_squares: Array
    banzhaf: Array
    discrete: Array
    paper: Array

    def error(self, formula: Array) -> float:
        """‖formula - β‖ / ‖β‖."""
        return float(np.linalg.norm(formula - self.least_squares) / np.linalg.norm(self.least_squares))


class Expansion:
    """All that is needed of F on K tasks: its 2^K subsets, and its derivatives at all tasks.

    Parameters
    ----------
    outcome : callable
        F of continuous task weights.
    tasks : int
        K, at most 14.
    """

    def __init__(self, outcome: Outcome, tasks: int = TASKS) -> None:
        self.outcome, self.tasks = outcome, tasks
        self.masks = all_masks(tasks).astype(np.float64)

    @cached_property
    def values(self) -> Array:
        """F of all subsets, shape (2^K,), in the order of `all_masks`."""
        return self.outcome(self.masks)

    @cached_property
    def leave_one_out(self) -> Array:
        """F(all) - F(all but k)."""
        return np.asarray(self.values[0] - self.values[1 : self.tasks + 1])

    @cached_property
    def second_differences(self) -> Array:
        """F(11) - F(10) - F(01) + F(00) at all tasks, shape (K, K); 0 on the diagonal."""
        K, without = self.tasks, self.values[1 : self.tasks + 1]
        number_out = K - self.masks.sum(axis=1)
        pairs = np.zeros((K, K))
        for row in np.flatnonzero(number_out == 2):
            j, k = np.flatnonzero(self.masks[row] == 0)
            pairs[j, k] = pairs[k, j] = self.values[0] - without[j] - without[k] + self.values[row]
        return pairs

    @cached_property
    def derivatives(self) -> tuple[Array, Array]:
        """Gradient (K,) and Hessian (K, K) by the task weights at all weights 1, by central differences."""
        K, step = self.tasks, _STEP
        moves = step * np.eye(K)
        pairs = list(combinations(range(K), 2))
        crossed = [a * moves[j] + b * moves[k] for j, k in pairs for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
        found = self.outcome(1.0 + np.vstack([np.zeros((1, K)), moves, -moves, *crossed]))
        middle, up, down = found[0], found[1 : K + 1], found[K + 1 : 2 * K + 1]
        hessian = np.diag((up - 2 * middle + down) / step**2)
        for (j, k), (pp, pm, mp, mm) in zip(pairs, found[2 * K + 1 :].reshape(-1, 4), strict=True):
            hessian[j, k] = hessian[k, j] = (pp - pm - mp + mm) / (4 * step**2)
        return (up - down) / (2 * step), hessian

    def coefficients(self, p: float) -> Coefficients:
        """Return β for tasks that are in with probability p, by least squares and by the three formulas."""
        inside = self.masks.sum(axis=1)
        chance = p**inside * (1 - p) ** (self.tasks - inside)
        root = np.sqrt(chance)[:, None]
        design = np.column_stack([np.ones(len(self.masks)), self.masks])
        least_squares = np.linalg.lstsq(root * design, root[:, 0] * self.values, rcond=None)[0][1:]
        weighted = chance * self.values
        with_k = weighted @ self.masks / p
        banzhaf = with_k - weighted @ (1 - self.masks) / (1 - p)
        gradient, hessian = self.derivatives
        return Coefficients(
            least_squares,
            banzhaf,
            self.leave_one_out - (1 - p) * self.second_differences.sum(axis=1),
            gradient + (p - 1) * hessian.sum(axis=1) + (1 - 2 * p) / 2 * np.diag(hessian),
        )


def sampling_errors(expansion: Expansion, p: float = 0.5, repeats: int = 200, seed: int = 0) -> Array:
    """Return ‖β̂ - β‖ of least squares on m random subsets, shape (repeats, numbers of subsets in `SUBSETS`)."""
    exact = expansion.coefficients(p).least_squares
    places = 2 ** np.arange(expansion.tasks)
    row_of = np.empty(len(expansion.masks), dtype=np.intp)
    row_of[(expansion.masks @ places).astype(np.intp)] = np.arange(len(expansion.masks))
    rng = np.random.default_rng([seed, 4])
    errors = np.empty((repeats, len(SUBSETS)))
    for repeat in errors:
        for at, m in enumerate(SUBSETS):
            masks = rng.random((m, expansion.tasks)) < p
            values = expansion.values[row_of[masks @ places]]
            design = np.column_stack([np.ones(m), masks])
            repeat[at] = np.linalg.norm(np.linalg.lstsq(design, values, rcond=None)[0][1:] - exact)
    return errors


def sampling_slope(errors: Array) -> Estimate:
    """Return the slope of the logarithm of the root mean square error by log m, with the jackknife's interval."""

    def slope(rows: Array) -> float:
        return float(np.polyfit(np.log(SUBSETS), np.log((rows**2).mean(axis=0)) / 2, 1)[0])

    n = len(errors)
    without = np.array([slope(np.delete(errors, at, axis=0)) for at in range(n)])
    margin = float(t.ppf((1 + LEVEL) / 2, n - 1) * np.sqrt((n - 1) * without.var()))
    value = slope(errors)
    return Estimate(value, value - margin, value + margin)
