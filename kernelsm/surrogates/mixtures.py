"""A readout's distribution over the other tasks as a mixture of independent inclusions.

Kernels that weigh tasks differently are products over tasks, Π_l f_l(s_l), and the mean of a product is the product
of means only where the tasks are independent. Every distribution of `subset_distributions` is a mixture of such:

    E[Π_l f_l(s_l)] = Σ_t w_t Π_l (out_tl f_l(0) + in_tl f_l(1)).

An anchor and independent inclusion have one node; Shapley's integral over p is exact with Gauss-Legendre nodes; a
fixed size r picks the coefficient of z^r of Π_l (f_l(0) + z f_l(1)), which the roots of unity do exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from kernelsm.surrogates.subset_distributions import (
    Anchor,
    Bernoulli,
    FixedSize,
    Shapley,
    SubsetDistribution,
    legendre_nodes,
)

Numbers = NDArray[Any]
"""Real, or complex for subsets of fixed size."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Nodes of independent inclusion.

    Parameters
    ----------
    out, within : ndarray, shape (N, K) or (N, 1)
        What each node gives f_l(0) and f_l(1).
    weights : ndarray, shape (N,)
        Of the nodes; the real part of the sum is meant.
    """

    out: Numbers
    within: Numbers
    weights: Numbers


def depends_on_held(distribution: SubsetDistribution) -> bool:
    """Whether the other tasks depend on how many of the readout's own tasks are in."""
    return isinstance(distribution, FixedSize)


def mixture_of(distribution: SubsetDistribution, R: int, held: int) -> Mixture:
    """Return the mixture for R other tasks, given that `held` of the readout's own are in."""
    if isinstance(distribution, Anchor):
        at = distribution.at[None, :]
        return Mixture(1 - at, at, np.ones(1))
    if isinstance(distribution, Bernoulli):
        p = np.array([[distribution.p]])
        return Mixture(1 - p, p, np.ones(1))
    if isinstance(distribution, Shapley):
        nodes, weights = legendre_nodes(R // 2 + 1)
        return Mixture(1 - nodes[:, None], nodes[:, None], weights)
    return _fixed_size(R, distribution.size - held)


@lru_cache(maxsize=32)
def _fixed_size(R: int, size: int) -> Mixture:
    """All sets of `size` of R tasks, equally probable."""
    if size in (0, R):  # one set
        within = np.array([[float(size > 0)]])
        return Mixture(1 - within, within, np.ones(1))
    p = size / R  # on this circle the wanted coefficient is the largest: no digits are lost
    # an even number of nodes, half a step off the real axis, where a factor could vanish; the lower half circle adds
    # the complex conjugates
    count = R + 1 + (R + 1) % 2
    angles = 2 * np.pi * (np.arange(count // 2) + 0.5) / count
    weights = 2 * np.exp(-1j * size * angles) / (count * binom.pmf(size, R, p))
    return Mixture(np.full((count // 2, 1), 1 - p, dtype=complex), p * np.exp(1j * angles)[:, None], weights)
