"""What all attribution methods share: their cost, stated first, then an Attribution, and an additive prediction.

Most methods are first order: they find D = dF/dα, how the loss of each target changes with the weight α_k that each
task has in the training loss. Weights come from subsets by renormalising (paper eq. 1): those tasks that are in share
the whole. Leaving out k therefore moves weight to all others, α(without k) - α(all) = a_k / (1 - a_k) (a - e_k) for
the weights a of all tasks, and

    F(with k) - F(without k)  ≈  a_k / (1 - a_k) (D_k - Σ_j a_j D_j).

That is what `centred` means. Without it only the weight of k changes, as where samples are added to a sum: a_k D_k.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store
from kernelsm.surrogates.results import Attribution, Interactions

Array = NDArray[np.float64]
Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class MethodCost:
    """What a method needs when nothing is in the store.

    Parameters
    ----------
    passes : float
        How often all training samples go through the network, forward and backward; 0 where no network is asked.
    seconds : float
        Expected time on this machine.
    memory : int
        Bytes of its largest arrays.

    Examples
    --------
    >>> from kernelsm.attributors.attributor import MethodCost
    >>> MethodCost(passes=40, seconds=2.4, memory=46_000_000).sentence()
    '40 passes over the training samples, about 2 s, 44 MiB'
    """

    passes: float
    seconds: float
    memory: int

    def sentence(self) -> str:
        """Say it in words."""
        passes = f"{self.passes:,.0f} passes over the training samples, " if self.passes else ""
        time = f"about {self.seconds:,.0f} s" if self.seconds >= 1 else "less than a second"
        return f"{passes}{time}, {max(1, round(self.memory / 2**20)):,} MiB"


class Attributor(ABC):
    """One attribution method on one set of tasks and targets.

    Attributes
    ----------
    name : str
        As commands and links write it.
    title : str
        As people call it.
    has_pairs, has_intervals : bool
        Whether it says what pairs of tasks do together, and how sure it is.
    is_additive : bool
        Whether its predictions are a constant plus the effects of the tasks that are in.
    """

    name: str
    title: str
    has_pairs = False
    has_intervals = False
    is_additive = True

    @property
    @abstractmethod
    def task_names(self) -> Sequence[str]:
        """Names of the K tasks."""

    @property
    @abstractmethod
    def target_names(self) -> Sequence[str]:
        """Names of the q targets."""

    @abstractmethod
    def cost(self) -> MethodCost:
        """Estimate what `attribute` needs, without starting it."""

    @abstractmethod
    def attribute(self, *, store: Store | None = None, report: Report = silent) -> Attribution:
        """Return F(with) - F(without) of each task where all others are in, shape (K, q); for a loss negative helps.

        Parameters
        ----------
        store : Store, optional
            Keeps finished chunks; asking again then computes nothing.
        report : Report
            Called after each chunk.
        """

    def interactions(self, *, store: Store | None = None, report: Report = silent) -> Interactions:
        """Return second differences of all pairs where all other tasks are in, shape (K, K, q).

        Raises
        ------
        InputError
            The method does not say anything about pairs.
        """
        fix = "Ask the default surrogate, or second-order influence."
        raise InputError("interactions", f"{self.title}, which has effects of single tasks only", "pairs", fix)

    def predict(self, masks: Masks, *, store: Store | None = None, report: Report = silent) -> Array:
        """Predict outcomes of subsets (m, K) by adding up the effects of the tasks that are in, shape (m, q).

        The constant is such that all tasks together have the loss that the method started from.
        """
        found = self.attribute(store=store, report=report)
        masks = check_masks(masks, len(self.task_names))
        return np.asarray(self.baseline() - (~masks).astype(np.float64) @ found.values)

    @abstractmethod
    def baseline(self) -> Array:
        """Outcome of each target where all tasks are in, shape (q,), as far as the method knows it."""

    def settings(self) -> dict[str, Any]:
        """Parameters of the method, for the metadata of results; JSON types."""
        return {}

    def __repr__(self) -> str:
        given = ", ".join(f"{key}={value!r}" for key, value in self.settings().items())
        return f"{type(self).__name__}({given})"


def check_masks(masks: Masks, K: int) -> Masks:
    """Return masks as a boolean array of shape (m, K).

    Raises
    ------
    InputError
        Another number of columns.
    """
    found = np.asarray(masks)
    if found.ndim != 2 or found.shape[1] != K:
        raise InputError("masks", f"shape {found.shape}", f"(m, {K})", "Give one column per task.")
    return found.astype(np.bool_)


def removal_steps(shares: Array) -> Array:
    """How the weights of all tasks move where one is left out, α(without k) - α(all); row k, shape (K, K).

    A task that holds the whole weight leaves nothing behind.
    """
    K = len(shares)
    rest = 1.0 - shares
    alone = rest <= 1e-12
    scale = shares / np.where(alone, 1.0, rest)
    steps = scale[:, None] * (shares - np.eye(K))
    steps[alone] = -np.eye(K)[alone] * shares[alone, None]
    return steps


def effects_of(slopes: Array, shares: Array, *, centred: bool) -> Array:
    """First-order F(with) - F(without) of each task, shape (K, q), from D = dF/dα of shape (K, q).

    Parameters
    ----------
    slopes : ndarray, shape (K, q)
        dF/dα_k.
    shares : ndarray, shape (K,)
        Weight a_k of each task in the training loss of all; they add up to 1.
    centred : bool
        Whether weight that a task leaves behind goes to the others.

    Examples
    --------
    >>> import numpy as np
    >>> from kernelsm.attributors.attributor import effects_of
    >>> slopes, shares = np.array([[-1.0], [-3.0]]), np.array([0.5, 0.5])
    >>> effects_of(slopes, shares, centred=True).ravel().tolist()
    [1.0, -1.0]
    >>> effects_of(slopes, shares, centred=False).ravel().tolist()
    [-0.5, -1.5]
    """
    return np.asarray(-removal_steps(shares) @ slopes if centred else shares[:, None] * slopes)
