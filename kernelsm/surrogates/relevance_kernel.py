"""An RBF kernel with a width of its own for every task, and its readouts in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from kernelsm.surrogates.kernel_functions import weighted_products
from kernelsm.surrogates.mixtures import Mixture, Numbers, depends_on_held, mixture_of
from kernelsm.surrogates.subset_distributions import CORNERS, Anchor, Array, Indices, SubsetDistribution
from kernelsm.surrogates.subset_kernel import SubsetKernel, SumKernel

_LARGEST_GAMMA = 100.0  # exp(-100) is 4e-44: two subsets that differ in such a task have nothing in common


@dataclass(frozen=True)
class RelevanceRBF(SubsetKernel):
    """exp(-Σ_k γ_k (s_k - s'_k)²): a task of γ_k = 0 does not matter, one of large γ_k changes everything.

    A product over tasks, so every average over subsets is a product too, or a mixture of products (`mixtures`).
    """

    gammas: tuple[float, ...]

    @property
    def _widths(self) -> Array:
        return np.asarray(np.minimum(np.array(self.gammas), _LARGEST_GAMMA))

    @property
    def _q(self) -> Array:
        return np.asarray(np.exp(-self._widths))

    @property
    def _step(self) -> Array:
        """1 - q of every task, to full precision also for tiny γ."""
        return np.asarray(-np.expm1(-self._widths))

    def gram(self, first: Array, second: Array) -> Array:
        """K of every pair of rows."""
        return np.asarray(np.exp(-weighted_distances(first, second, self._widths)))

    def diagonal(self, rows: Array) -> Array:
        """All ones."""
        return np.ones(len(rows))

    def effects(self, distribution: SubsetDistribution, masks: Array) -> Array:
        """Means of the other tasks' product times the difference in k, node by node."""
        total = np.zeros(masks.shape)
        for sign, held, weight, logs, rest in self._nodes(distribution, masks, 1):
            others = np.exp(rest[:, None] - logs)
            if held is None:
                total += (weight * others).real * (2 * masks - 1) * self._step
            else:
                total += sign * (weight * others).real * self._value(masks, held)
        return total

    def pair_effects(self, distribution: SubsetDistribution, masks: Array, first: Indices, second: Indices) -> Array:
        """The same with second differences of the pairs."""
        total = np.zeros((len(masks), len(first)))
        signed = (2 * masks - 1) * self._step
        for sign, held, weight, logs, rest in self._nodes(distribution, masks, 2):
            others = (weight * np.exp(rest[:, None] - logs[:, first] - logs[:, second])).real
            if held is None:
                total += others * signed[:, first] * signed[:, second]
            else:
                for a, b in _held(held):
                    total += (
                        sign
                        * others
                        * self._value(masks[:, first], a, first)
                        * self._value(masks[:, second], b, second)
                    )
        return total

    def pair_sums(self, distribution: SubsetDistribution, masks: Array, theta: Array) -> Array:
        """Σ_i θ_i times these, as products of one matrix with itself."""
        K = masks.shape[1]
        total = np.zeros((K, K, theta.shape[1]))
        signed = (2 * masks - 1) * self._step
        for sign, held, weight, logs, rest in self._nodes(distribution, masks, 2):
            # half of the product of all tasks to either factor: neither can vanish where their product does not
            shared = np.exp(rest[:, None] / 2 - logs)
            loads = weight * theta
            if held is None:
                total += weighted_products(signed * shared, loads).real
                continue
            values = [self._value(masks, inside) * shared for inside in (0, 1)]
            if held != 1:
                total += sign * weighted_products(values[held // 2], loads).real
            else:
                both = weighted_products(values[0] + values[1], loads)
                neither, each = (weighted_products(value, loads) for value in values)
                total += sign * (both - neither - each).real
        return total

    def pair_means(self, distribution: SubsetDistribution, masks: Array, j: int, k: int) -> Array:
        """Means of the other tasks' product times the value at each corner."""
        means = np.zeros((len(masks), len(CORNERS)))
        for column, corner in enumerate(CORNERS):
            held = sum(corner)
            mixture = mixture_of(distribution, masks.shape[1] - 2, held)
            own = self._value(masks[:, [j]], corner[0], [j]) * self._value(masks[:, [k]], corner[1], [k])
            for node in range(len(mixture.weights)):
                logs = self._logs(mixture.out[node], mixture.within[node], masks)
                rest = logs.sum(axis=1) - logs[:, j] - logs[:, k]
                means[:, column] += (mixture.weights[node] * np.exp(rest)).real * own[:, 0]
        return means

    def prior(self, distribution: SubsetDistribution, K: int, *tasks: Indices) -> Array:
        """Π (2 - 2q) of the readout's tasks times the mean over two independent draws of the others."""
        if isinstance(distribution, Anchor):
            return self._own_steps(tasks)
        return self.prior_between(distribution, distribution, K, *tasks)

    def prior_between(self, first: SubsetDistribution, second: SubsetDistribution, K: int, *tasks: Indices) -> Array:
        """The same over one draw of the others from either distribution."""
        if depends_on_held(first) or depends_on_held(second):
            return self._between_corners(first, second, K, tasks)
        # E over S and S' of Π q^differs: the second draw's mixture inside the first's
        outer, inner = (mixture_of(side, K - len(tasks), 0) for side in (first, second))
        total = np.zeros(len(tasks[0]))
        for node in range(len(outer.weights)):
            rest = self._log_rest(outer, node, inner, tasks)
            total += outer.weights[node] * (inner.weights @ np.exp(rest))
        return np.asarray(self._own_steps(tasks) * total)

    def _own_steps(self, tasks: tuple[Indices, ...]) -> Array:
        """Π (2 - 2q) of the readout's tasks."""
        return np.asarray(np.prod([2 * self._step[k] for k in tasks], axis=0))

    def _log_rest(self, outer: Mixture, node: int, inner: Mixture, tasks: tuple[Indices, ...]) -> Numbers:
        """Log of the others' mean product for every node within, shape (N, P)."""
        same = outer.out[node] * inner.out + outer.within[node] * inner.within
        other = outer.out[node] * inner.within + outer.within[node] * inner.out
        logs = np.log(same + other * self._q)
        return np.asarray(logs.sum(axis=1)[:, None] - sum(logs[:, k] for k in tasks))

    def exchange_sums(self, masks: Array, theta: Array, at: Array, out: Indices, into: Indices) -> Array:
        """Each exchange multiplies k(s_i, at) by one factor of the task that leaves and one of that which comes."""
        differs = np.abs(masks - at)
        logs = -np.asarray(differs @ self._widths)
        # leaving changes whether s_i differs from `at` in that task, and so its factor from q^d to q^(1-d)
        change = (2 * differs - 1) * self._widths
        left, right = np.exp(logs[:, None] / 2 + change[:, out]), np.exp(logs[:, None] / 2 + change[:, into])
        return np.stack([(left * theta[:, [j]]).T @ right for j in range(theta.shape[1])], axis=2)

    def _between_corners(
        self, first: SubsetDistribution, second: SubsetDistribution, K: int, tasks: tuple[Indices, ...]
    ) -> Array:
        """The readout of the mean of k(·, s') over the corners of s', itself a mixture."""
        order, q = len(tasks), self._q
        total = np.zeros(len(tasks[0]))
        for corner in product((0, 1), repeat=order):
            outer = mixture_of(first, K - order, sum(corner))
            for own in product((0, 1), repeat=order):
                inner = _whole_circle(mixture_of(second, K - order, sum(own)))
                sign = (-1) ** (sum(corner) + sum(own))
                pair = np.prod(
                    [np.where(a == b, 1.0, q[k]) for a, b, k in zip(corner, own, tasks, strict=True)], axis=0
                )
                for node in range(len(outer.weights)):
                    rest = self._log_rest(outer, node, inner, tasks)
                    total += sign * (outer.weights[node] * (inner.weights @ np.exp(rest))).real * pair
        return total

    def _nodes(
        self, distribution: SubsetDistribution, masks: Array, order: int
    ) -> Iterator[tuple[int, int | None, complex, Numbers, Numbers]]:
        """Yield sign, held tasks, weight, log means of every task's factor (m, K) and their sum (m,), node by node.

        Where the others do not depend on the tasks held, there is one case, and `held` is None.
        """
        cases = range(order + 1) if depends_on_held(distribution) else (None,)
        for held in cases:
            mixture = mixture_of(distribution, masks.shape[1] - order, held or 0)
            sign = 1 if held is None else (-1) ** (order - held)
            for node in range(len(mixture.weights)):
                logs = self._logs(mixture.out[node], mixture.within[node], masks)
                yield sign, held, mixture.weights[node], logs, logs.sum(axis=1)

    def _logs(self, out: Numbers, within: Numbers, masks: Array) -> Numbers:
        """Log of the mean of every task's factor, shape (m, K)."""
        q = self._q
        return np.asarray(np.where(masks == 1, np.log(within + out * q), np.log(within * q + out)))

    def _value(self, masks: Array, inside: int, tasks: Indices | list[int] | slice = slice(None)) -> Array:
        """Factor of every task where the other argument holds it (`inside` 1) or not."""
        return np.where(masks == inside, 1.0, self._q[tasks])


@dataclass(frozen=True)
class RelevanceKernel(SumKernel):
    """Σ_l a_l exp(-c_l Σ_k r_k (s_k - s'_k)²): RBF parts of several widths that share the relevance of the tasks.

    Parameters
    ----------
    parts
        Left out: made from the others.
    relevance : tuple of float, length K
        r.
    widths, amplitudes : tuple of float
        c and a.
    """

    parts: tuple[tuple[float, SubsetKernel], ...] = ()
    relevance: tuple[float, ...] = ()
    widths: tuple[float, ...] = ()
    amplitudes: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        relevance = np.array(self.relevance)
        made = tuple(
            (amplitude, RelevanceRBF(tuple((width * relevance).tolist())))
            for width, amplitude in zip(self.widths, self.amplitudes, strict=True)
        )
        object.__setattr__(self, "parts", made)

    def gram(self, first: Array, second: Array) -> Array:
        """K of every pair of rows, from one matrix of distances."""
        return sum_of_widths(
            weighted_distances(first, second, np.array(self.relevance)), self.widths, self.amplitudes
        )


def weighted_distances(first: Array, second: Array, relevance: Array) -> Array:
    """Σ_k r_k (s_k - s'_k)² of every pair of rows, shape (m, m')."""
    left, right = first * relevance, second * relevance
    distances = -2 * (left @ second.T)
    distances += np.einsum("ij,ij->i", left, first)[:, None]
    distances += np.einsum("ij,ij->i", right, second)
    return np.asarray(np.maximum(distances, 0.0, out=distances))


def sum_of_widths(distances: Array, widths: Sequence[float], amplitudes: Sequence[float]) -> Array:
    """Σ_l a_l exp(-c_l d)."""
    total = np.zeros_like(distances)
    for width, amplitude in zip(widths, amplitudes, strict=True):
        if amplitude > 0:
            total += amplitude * np.exp(-width * distances)
    return total


def _held(count: int) -> list[tuple[int, int]]:
    return [corner for corner in CORNERS if sum(corner) == count]


def _whole_circle(mixture: Mixture) -> Mixture:
    """Nodes and their conjugates: a product of two half circles is not half of the product."""
    if not np.iscomplexobj(mixture.weights):
        return mixture
    out, within, weights = (
        np.concatenate([part, part.conj()]) for part in (mixture.out, mixture.within, mixture.weights)
    )
    return Mixture(out, within, weights / 2)
