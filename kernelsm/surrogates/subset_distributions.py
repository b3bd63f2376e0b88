"""The distribution over subsets of the other tasks over which a readout averages its differences.

A readout of order t (1: attribution, 2: interaction) is the mean of the t-th difference of g in t tasks, while the
R = K - t other tasks follow a distribution: they stay as in an anchor, are included independently, are those before
the t tasks in a random order (Shapley), or fill up a subset of fixed size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import roots_legendre
from scipy.stats import binom, hypergeom

from kernelsm.runtime.checks import check_choice, check_probability, check_whole
from kernelsm.runtime.errors import InputError

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
ATTRIBUTIONS = ("leave_one_out", "inclusion", "banzhaf", "shapley")
INTERACTIONS = ("second_difference", "inclusion", "banzhaf", "shapley")
CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Which of a pair's two tasks are in: neither, the second alone, the first alone, both."""


@dataclass(frozen=True, eq=False)
class Anchor:
    """The other tasks are as in `at`, shape (K,) of 0.0 and 1.0."""

    at: Array


class SizeDistribution(ABC):
    """A distribution under which all sets of the other tasks of one size are equally probable."""

    @abstractmethod
    def sizes(self, R: int, held: int) -> Array:
        """Probabilities that 0..R of the other tasks are in, given that `held` of the t tasks are; shape (R+1,)."""

    @abstractmethod
    def overlaps(self, R: int, held: int) -> Array:
        """Probabilities of an overlap of 0, 1, ... (columns) with a set of 0..R (rows) of the other tasks."""


class ProductDistribution(SizeDistribution):
    """A distribution that is independent of the t tasks: a mixture of independent inclusions."""

    @abstractmethod
    def mean_power(self, R: int, q: float) -> Array:
        """Mean of q^(Hamming distance to a set of 0..R of the other tasks), shape (R+1,)."""


@dataclass(frozen=True)
class Bernoulli(ProductDistribution):
    """Each of the other tasks is in with probability `p`."""

    p: float

    def sizes(self, R: int, held: int) -> Array:
        """Binomial."""
        return np.asarray(binom.pmf(np.arange(R + 1), R, self.p))

    def overlaps(self, R: int, held: int) -> Array:
        """Binomial in the size of the set."""
        return np.asarray(binom.pmf(np.arange(R + 1)[None, :], np.arange(R + 1)[:, None], self.p))

    def mean_power(self, R: int, q: float) -> Array:
        """A^n B^(R-n) with A = p + (1-p)q, B = pq + 1-p."""
        n = np.arange(R + 1)
        return np.asarray((self.p + (1 - self.p) * q) ** n * (self.p * q + 1 - self.p) ** (R - n))


@dataclass(frozen=True)
class Shapley(ProductDistribution):
    """The other tasks that come before the t in a random order: independent inclusion with p uniform on 0..1."""

    def sizes(self, R: int, held: int) -> Array:
        """Uniform."""
        return np.full(R + 1, 1 / (R + 1))

    def overlaps(self, R: int, held: int) -> Array:
        """Uniform from 0 to the size of the set."""
        n, overlap = np.arange(R + 1)[:, None], np.arange(R + 1)[None, :]
        return np.where(overlap <= n, 1 / (n + 1), 0.0)

    def mean_power(self, R: int, q: float) -> Array:
        """∫ A(p)^n B(p)^(R-n) dp: a polynomial of degree R, exact with ⌊R/2⌋+1 Gauss-Legendre nodes."""
        p, weight = legendre_nodes(R // 2 + 1)
        n = np.arange(R + 1)
        return np.asarray(weight @ ((p + (1 - p) * q)[:, None] ** n * (p * q + 1 - p)[:, None] ** (R - n)))


@dataclass(frozen=True)
class FixedSize(SizeDistribution):
    """The whole subset, the t tasks included, has exactly `size` tasks."""

    size: int

    def sizes(self, R: int, held: int) -> Array:
        """Certainly size - held."""
        probabilities = np.zeros(R + 1)
        probabilities[self.size - held] = 1.0
        return probabilities

    def overlaps(self, R: int, held: int) -> Array:
        """Hypergeometric."""
        return _hypergeometric(R, self.size - held)


SubsetDistribution = Anchor | Bernoulli | Shapley | FixedSize


def mean_masks(distribution: SubsetDistribution, K: int, j: int, k: int) -> Array:
    """Probability that each task is in, for the four `CORNERS` of the pair (j, k); shape (4, K).

    For an anchor these are four subsets.
    """
    if isinstance(distribution, Anchor):
        masks = np.tile(distribution.at, (len(CORNERS), 1))
    else:
        R = K - 2
        expected = [distribution.sizes(R, sum(corner)) @ np.arange(R + 1) for corner in CORNERS]
        masks = np.tile(np.array(expected)[:, None] / max(R, 1), (1, K))
    masks[:, [j, k]] = CORNERS
    return masks


@lru_cache(maxsize=16)
def _hypergeometric(R: int, drawn: int) -> Array:
    """Probabilities of an overlap of 0..drawn (columns) of `drawn` tasks of R with a set of 0..R (rows)."""
    n, overlap = np.arange(R + 1)[:, None], np.arange(drawn + 1)[None, :]
    probabilities = np.asarray(hypergeom.pmf(overlap, R, n, drawn))
    probabilities.flags.writeable = False  # all callers share it: at 500 tasks half a second each
    return probabilities


@lru_cache(maxsize=32)
def legendre_nodes(count: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on 0..1."""
    nodes, weights = roots_legendre(count)
    return (np.asarray(nodes) + 1) / 2, np.asarray(weights) / 2


def distribution_of(
    kind: str, order: int, K: int, *, at: ArrayLike | None = None, p: float | None = None, size: int | None = None
) -> tuple[SubsetDistribution, dict[str, object]]:
    """Return the distribution that a readout's name and arguments stand for, and its description for `meta`.

    Parameters
    ----------
    kind : str
        One of `ATTRIBUTIONS` (order 1) or `INTERACTIONS` (order 2).
    order : {1, 2}
    K : int
        Number of tasks.
    at, p, size
        Arguments of the readout; see `Surrogate.attribution`.

    Raises
    ------
    InputError
        An unknown name, an argument that the readout does not take, or one out of range.
    """
    known = ATTRIBUTIONS if order == 1 else INTERACTIONS
    check_choice("kind", kind, known)
    takes = {"inclusion": ("p", "size"), "banzhaf": ("p",), "shapley": ()}.get(kind, ("at",))
    given = [name for name, value in (("at", at), ("p", p), ("size", size)) if value is not None]
    if foreign := [name for name in given if name not in takes]:
        expected = f"{' or '.join(takes)} with {kind!r}" if takes else f"no argument with {kind!r}"
        raise InputError("readout", ", ".join(foreign), expected, "Leave it out, or choose another readout.")
    if p is not None and size is not None:
        raise InputError("readout", "both p and size", "one of them", "Give p or size.")
    if kind == "shapley":
        return Shapley(), {"readout": kind}
    if takes == ("at",):
        anchor = _anchor(at, K)
        return Anchor(anchor), {"readout": kind, "at": anchor.astype(int).tolist()}
    if size is not None:
        size = check_whole("size", size, 0, floats=True)
        if not order <= size <= K - order:
            expected = f"{order} to {K - order}" if 2 * order <= K else f"at least {2 * order} tasks for this readout"
            raise InputError(
                "size", f"{size} of {K} tasks", expected, "Subsets with and without the tasks must exist."
            )
        return FixedSize(size), {"readout": kind, "size": size}
    p = 0.5 if p is None else p
    check_probability("p", p, fix="0.5 is usual.")
    p = float(p)
    return Bernoulli(p), {"readout": kind, "p": p}


def _anchor(at: ArrayLike | None, K: int) -> Array:
    try:
        anchor = np.ones(K) if at is None else np.asarray(at, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("at", repr(at)[:80], f"{K} values of 0 or 1", "Give one value per task.") from None
    if anchor.shape != (K,) or not np.isin(anchor, (0.0, 1.0)).all():
        raise InputError("at", f"shape {anchor.shape}", f"{K} values of 0 or 1", "Give one value per task.")
    return anchor
