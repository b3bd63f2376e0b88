"""A kernel on ordered prompts, from how many demonstrations, slots and labels of slots two of them have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.subset_distributions import Array

PromptOrders = NDArray[np.intp]
"""Prompts in their order: the candidate in each slot, shape (m, k), or (k,) for one prompt."""


@dataclass(frozen=True, eq=False)
class PromptKernel:
    """The RBF or linear kernel of weighted `position_features`, without these: they are thousands of columns.

    Parameters
    ----------
    name : {"rbf", "linear"}
    gamma : float
        γ of "rbf".
    weights : (float, float)
        Of who stands where, and of which label stands where.
    K : int
        Number of candidates.
    classes : ndarray of int, shape (K,)
        Class of each candidate; all 0 without labels.
    ordered : bool
        Else two prompts have in common what they have in the mean over their orders.
    """

    name: Literal["rbf", "linear"]
    gamma: float
    weights: tuple[float, float]
    K: int
    classes: NDArray[np.intp]
    ordered: bool

    def gram(self, first: PromptOrders, second: PromptOrders) -> Array:
        """K of every pair of prompts, shape (m, m'), from their candidates, shapes (m, k) and (m', k)."""
        common = self._common(first, second)
        if self.name == "linear":
            return common
        common *= 2 * self.gamma
        # of "rbf" the distance of two prompts is what each has in common with itself, less twice what both have
        common -= self.gamma * self._own(first)[:, None]
        common -= self.gamma * self._own(second)
        return np.asarray(np.exp(common, out=common))

    def diagonal(self, prompts: PromptOrders) -> Array:
        """K of each prompt with itself, shape (m,)."""
        return self._own(prompts) if self.name == "linear" else np.ones(len(prompts))

    def _common(self, first: PromptOrders, second: PromptOrders) -> Array:
        """Inner product of the weighted features."""
        k = first.shape[1]
        slots, labels = (weight**2 for weight in self.weights)
        held = np.zeros((self.K, len(second)), dtype=np.bool_)
        held[second.T, np.arange(len(second))] = True
        total = np.zeros((len(first), len(second)))
        if not self.ordered:
            for slot in range(k):
                total += (1 + slots / k) * held[first[:, slot]]
            return np.asarray(total + labels / k * (self._counts(first) @ self._counts(second).T))
        for slot in range(k):
            total += held[first[:, slot]]
            if slots:
                total += slots * (first[:, slot, None] == second[:, slot])
            if labels:
                total += labels * (self.classes[first[:, slot], None] == self.classes[second[:, slot]])
        return total

    def _own(self, prompts: PromptOrders) -> Array:
        """Inner product of each prompt with itself."""
        k = prompts.shape[1]
        slots, labels = (weight**2 for weight in self.weights)
        if self.ordered:
            return np.full(len(prompts), k * (1 + slots + labels))
        return np.asarray(k + slots + labels / k * (self._counts(prompts) ** 2).sum(axis=1))

    def _counts(self, prompts: PromptOrders) -> Array:
        """How many of each label are in, shape (m, C)."""
        return np.asarray(np.eye(int(self.classes.max()) + 1)[self.classes[prompts]].sum(axis=1))


def check_orders(orders: Sequence[Sequence[int]] | NDArray[np.integer], K: int) -> PromptOrders:
    """Return prompts in their order as an array, shape (rows, k).

    Raises
    ------
    InputError
        Prompts of several lengths, no candidate, one twice in a prompt, or one that there is not.
    """
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
