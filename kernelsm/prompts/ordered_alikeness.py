"""A kernel on ordered prompts whose parts a fit weighs: labels in their slots, demonstrations and pairs in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernelsm.prompts.order_kernel import PromptOrders

Array = NDArray[np.float64]
WEIGHTS = 4
"""Of the parts, the first of the parameters: labels, demonstrations in common, in place, and pairs."""
_SLOTS_APART = 8  # of more slots one rate counts for all


@dataclass(frozen=True, eq=False)
class Alike:
    """What two lists of prompts have in common: what a kernel weighs, shapes (m, m', rates) and (m, m')."""

    labels_differ: Array | None
    common: Array
    in_place: Array | None
    pairs: Array | None


@dataclass(frozen=True, eq=False)
class OrderedAlikeness:
    """A kernel on ordered prompts: labels in their slots, demonstrations in common, in place, and pairs in common.

    Parameters
    ----------
    K, k : int
    classes : ndarray of int, shape (K,), optional
        Class of each candidate; without it labels do not count.
    ordered : bool
        Else prompts are alike by how many of each label they hold, and by the demonstrations in common.
    """

    K: int
    k: int
    classes: NDArray[np.intp] | None
    ordered: bool = True

    @property
    def rates(self) -> int:
        """Numbers that say how much a label counts: one for each slot, but of many slots, or without order, one."""
        if self.classes is None:
            return 0
        return self.k if self.ordered and self.k <= _SLOTS_APART else 1

    @property
    def count(self) -> int:
        """Number of parameters, all logarithms: four weights, and the rates."""
        return WEIGHTS + self.rates

    def start(self) -> Array:
        """Parameters that are likely before anything was seen."""
        labels = np.log(0.5) if self.classes is not None else -9.0
        weights = [labels, np.log(0.3), np.log(0.1), np.log(0.05)]
        return np.concatenate([weights, np.full(self.rates, np.log(0.5))])

    def parts(self, first: PromptOrders, second: PromptOrders) -> Alike:
        """What `gram` weighs: where labels differ, and the shares in common and in place."""
        held = np.zeros((2, max(len(first), len(second)), self.K))
        for side, prompts in enumerate((first, second)):
            held[side, np.arange(len(prompts))[:, None], prompts] = 1.0
        shared = held[0, : len(first)] @ held[1, : len(second)].T
        pairs = shared * (shared - 1) / (self.k * (self.k - 1)) if self.k > 1 else None
        in_place = None
        if self.ordered:
            in_place = np.zeros((len(first), len(second)))
            for slot in range(self.k):
                in_place += first[:, slot, None] == second[:, slot]
            in_place /= self.k
        differ = None if self.classes is None else self.labels_differ(self.classes[first], self.classes[second])
        return Alike(differ, shared / self.k, in_place, pairs)

    def labels_differ(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> Array:
        """In how many slots two rows of labels differ, shape (m, m', rates): slot by slot, or at the least."""
        if not self.ordered:
            size = int(max(first.max(), second.max())) + 1
            shared = np.zeros((len(first), len(second)))
            for label in range(size):
                shared += np.minimum.outer((first == label).sum(axis=1), (second == label).sum(axis=1))
            return np.asarray((self.k - shared)[:, :, None])
        differs = (first[:, None] != second[None]).astype(np.float64)
        return np.asarray(differs.sum(axis=2, keepdims=True) if self.rates == 1 else differs)

    def gram(self, parts: Alike, parameters: Array) -> Array:
        """Kernel of all pairs."""
        weights = np.exp(parameters[:WEIGHTS])
        total = weights[1] * parts.common
        if parts.in_place is not None:
            total += weights[2] * parts.in_place
        if parts.pairs is not None:
            total += weights[3] * parts.pairs
        if parts.labels_differ is not None:
            total += self.of_labels(parts.labels_differ, parameters)
        return np.asarray(total)

    def of_labels(self, differ: Array, parameters: Array) -> Array:
        """The part of the kernel that labels make."""
        return np.asarray(np.exp(parameters[0] - differ @ np.exp(parameters[WEIGHTS : self.count])))

    def slopes(self, parts: Alike, parameters: Array, weigh: Array) -> Array:
        """Sum over all pairs of `weigh` times the slope of the kernel in each parameter, shape (count,)."""
        found = np.zeros(self.count)
        found[1] = np.exp(parameters[1]) * (weigh * parts.common).sum()
        if parts.in_place is not None:
            found[2] = np.exp(parameters[2]) * (weigh * parts.in_place).sum()
        if parts.pairs is not None:
            found[3] = np.exp(parameters[3]) * (weigh * parts.pairs).sum()
        if parts.labels_differ is not None:
            weighed = weigh * self.of_labels(parts.labels_differ, parameters)
            found[0] = weighed.sum()
            found[WEIGHTS:] = -np.exp(parameters[WEIGHTS : self.count]) * np.tensordot(
                weighed, parts.labels_differ, axes=2
            )
        return found

    def own(self, parameters: Array) -> float:
        """Kernel of a prompt with itself."""
        labels, common, in_place, pairs = np.exp(parameters[:WEIGHTS])
        return float(common + in_place * self.ordered + pairs * (self.k > 1) + labels * (self.classes is not None))
