"""Predictions of all prompts that differ by one demonstration at once, for an RBF kernel on ordered prompts.

Such a kernel of a prompt with a measured one is a product over the slots, of factors that depend on the candidate in
the slot alone. Each of them is that of the candidate's label, but for the k candidates of the measured prompt. So
k x K exchanges cost little more than one prediction, and the sum over all k! orders is a permanent of k x k numbers.
"""

from __future__ import annotations

from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kernelsm.prompts.order_kernel import PromptKernel, PromptOrders
from kernelsm.surrogates.subset_distributions import Array


class SlotFactors:
    """Factors of a kernel with each of some measured prompts.

    Parameters
    ----------
    kernel : PromptKernel
        "rbf" and ordered.
    prompts : ndarray of int, shape (m, k)
    """

    def __init__(self, kernel: PromptKernel, prompts: PromptOrders) -> None:
        self._classes = kernel.classes
        m, k = prompts.shape
        slots, labels = (weight**2 for weight in kernel.weights)
        rows, own = np.arange(m), kernel.classes[prompts]

        def factor(held: bool, same: bool, differs: NDArray[np.bool_]) -> Array:
            distance = (not held) + slots * (not same) + labels * differs
            return np.asarray(np.exp(-2 * kernel.gamma * distance))

        every = np.arange(int(kernel.classes.max()) + 1)[:, None]
        # of a candidate that a measured prompt does not hold, by its class, shape (C, m) for each slot
        self._others = [factor(False, False, every != own[:, slot]) for slot in range(k)]
        # what is to be added to that for those that it holds, shape (K, m) with k entries in a column
        self._held = []
        for slot in range(k):
            entries = []
            for place in range(k):
                differs = own[:, place] != own[:, slot]
                entries.append(factor(True, place == slot, differs) - factor(False, False, differs))
            at = (prompts.T.ravel(), np.tile(rows, k))
            self._held.append(sparse.csr_array((np.concatenate(entries), at), shape=(kernel.K, m)))

    def of(self, candidates: PromptOrders) -> Array:
        """Factors of some candidates in every slot, shape (slots, candidates, m)."""
        pairs = zip(self._others, self._held, strict=True)
        return np.array([others[self._classes[candidates]] + held[candidates].toarray() for others, held in pairs])

    def exchanges(self, prompt: PromptOrders, theta: Array) -> Array:
        """Sum the kernels times θ, shape (m, q), of a prompt with each candidate in each slot, shape (k, K, q)."""
        k = len(prompt)
        factors = self.of(prompt)[np.arange(k), np.arange(k)]
        rest = [np.delete(factors, slot, axis=0).prod(axis=0)[:, None] for slot in range(k)]
        return np.array([self._sums(slot, rest[slot] * theta) for slot in range(k)])

    def mean_exchanges(self, chosen: PromptOrders, theta: Array) -> Array:
        """Sum the same in the mean over all orders, with each candidate in the place of each, shape (k, K, q)."""
        k, m, q = len(chosen), *theta.shape
        factors = self.of(chosen)
        # rest[slot, out]: all ways to put the others into the other slots
        rest = np.stack([_without_a_slot(np.delete(factors, out, axis=1)) for out in range(k)], axis=1)
        total = np.zeros((len(self._classes), k * q))
        for slot in range(k):
            total += self._sums(slot, (rest[slot].T[:, :, None] * theta[:, None]).reshape(m, k * q))
        return total.reshape(-1, k, q).swapaxes(0, 1) / factorial(k)

    def _sums(self, slot: int, weights: Array) -> Array:
        """Sum of each candidate's factors in a slot, weighted, shape (K, columns)."""
        return np.asarray((self._others[slot] @ weights)[self._classes] + self._held[slot] @ weights)


def _without_a_slot(factors: Array) -> Array:
    """Sum of products over all ways to put k - 1 candidates into k slots less one, shape (k, m).

    Parameters
    ----------
    factors : ndarray, shape (k, k - 1, m)
        Of each slot and candidate.
    """
    k = len(factors)
    sums = {0: np.ones(factors.shape[2])}  # by the slots taken, as bits, after so many candidates
    for candidate in range(k - 1):
        extended: dict[int, Array] = {}
        for filled, product in sums.items():
            for slot in range(k):
                if not filled >> slot & 1:
                    filled_then = filled | 1 << slot
                    term = product * factors[slot, candidate]
                    extended[filled_then] = extended[filled_then] + term if filled_then in extended else term
        sums = extended
    return np.array([sums[(1 << k) - 1 - (1 << slot)] for slot in range(k)])
