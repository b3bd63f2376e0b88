"""View: one way to look at a table, and which tasks and subsets two of them have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from kernelsm.outcomes.table import Outcomes
from kernelsm.outcomes.units import unit_of
from kernelsm.runtime.checks import check_choice
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.reading import (
    Readout,
    fit_of_target,
    of_target,
    pair_readout_of,
    read_surrogate,
    task_size_of,
    usual_readout,
)
from kernelsm.surrogates.subset_distributions import Indices, SubsetDistribution, distribution_of

KERNELS = ("auto", "rbf", "poly", "linear")
READOUTS = ("leave_one_out", "inclusion", "shapley")


@dataclass(frozen=True, eq=False)
class View:
    """Which surrogate of which target of a table is read off how: what the pages show of it.

    Parameters
    ----------
    outcomes : Outcomes
        The whole table.
    target : str
        "" is the mean over targets.
    kernel : {"auto", "rbf", "poly", "linear"}
        "auto" is the default surrogate.
    gamma : float, optional
        γ of "rbf" and "poly"; None is 1/K.
    ridge : float
        λ of all but "auto".
    readout : {"", "leave_one_out", "inclusion", "shapley"}
        "" is what suits the table's subsets.
    fitted : Surrogate, optional
        Where it has been fitted already.
    read : Readout, optional
        Where that has been read off already.

    Raises
    ------
    InputError
        The table has no such target, or a kernel or readout is unknown.

    Examples
    --------
    >>> from kernelsm import load_example
    >>> view = View(load_example("planted"), kernel="rbf", gamma=0.1)
    >>> view.reading.attribution.values.shape, view.kind, view.unit
    ((10, 1), 'leave_one_out', 'loss, nats')
    """

    outcomes: Outcomes
    target: str = ""
    kernel: str = "auto"
    gamma: float | None = None
    ridge: float = 0.1
    readout: str = ""
    fitted: Surrogate | None = field(default=None, repr=False)
    read: Readout | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.target and self.target not in self.outcomes.target_names:
            expected = ", ".join(map(repr, self.outcomes.target_names))[:200]
            raise InputError("target", repr(self.target)[:80], expected, "Choose one of these.")
        check_choice("kernel", self.kernel, KERNELS)
        check_choice("readout", self.readout, ("", *READOUTS))

    @property
    def settings(self) -> tuple[str, float | None, float | None]:
        """Kernel, γ and λ, without those that the kernel does not use."""
        if self.kernel == "auto":
            return "auto", None, None
        gamma = 1.0 / self.outcomes.K if self.gamma is None else self.gamma
        return self.kernel, None if self.kernel == "linear" else gamma, self.ridge

    @property
    def kind(self) -> str:
        """The readout of tasks."""
        return self.readout or usual_readout(self.outcomes)

    @property
    def unit(self) -> str:
        """What is measured, with its unit."""
        return unit_of(self.outcomes)

    @property
    def one_target(self) -> str:
        """The target's name; "" for a mean over several."""
        return self.outcomes.target_names[0] if self.outcomes.q == 1 else self.target

    @cached_property
    def table(self) -> Outcomes:
        """Outcomes of the target alone."""
        return of_target(self.outcomes, self.target)

    @cached_property
    def surrogate(self) -> Surrogate:
        """Fitted to the target."""
        if self.fitted is not None:
            return self.fitted
        return fit_of_target(self.outcomes, self.target, self.kernel, self.gamma, self.ridge)

    @cached_property
    def reading(self) -> Readout:
        """Effects and pairs with their verdicts."""
        return self.read or read_surrogate(self.surrogate, self.outcomes, self.target, self.kind)

    @property
    def of_tasks(self) -> SubsetDistribution:
        """What the readout of a task averages over."""
        size = task_size_of(self.outcomes, self.kind)
        return distribution_of(self.kind, 1, self.outcomes.K, size=size)[0]

    @property
    def of_pairs(self) -> SubsetDistribution:
        """What the readout of a pair averages over."""
        kind, size = pair_readout_of(self.outcomes, self.kind)
        return distribution_of(kind, 2, self.outcomes.K, size=size)[0]

    def same_readout(self, other: View) -> bool:
        """Whether both average over the same subsets."""
        return self.kind == other.kind and all(
            size(self.outcomes, self.kind) == size(other.outcomes, other.kind) for size in (task_size_of, _pair_size)
        )


@dataclass(frozen=True)
class Matched:
    """The tasks that two views have in common, by name.

    Parameters
    ----------
    names : tuple of str
        In the order of the first view.
    first, second : ndarray of int, shape (n,)
        Their places in either view.
    only_first, only_second : tuple of str
        Tasks that one of the views alone has.
    """

    names: tuple[str, ...]
    first: Indices
    second: Indices
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether neither view has a task of its own."""
        return not self.only_first and not self.only_second


def matched_tasks(first: View, second: View) -> Matched:
    """Match the tasks of two views by their names.

    Raises
    ------
    InputError
        They have none in common.

    Examples
    --------
    >>> from kernelsm import Outcomes
    >>> one = View(Outcomes([[1, 0], [0, 1]], [1.0, 2.0], task_names=["reviews", "tweets"]))
    >>> other = View(Outcomes([[1, 0], [0, 1]], [1.0, 2.0], task_names=["tweets", "news"]))
    >>> matched = matched_tasks(one, other)
    >>> matched.names, matched.only_first, matched.only_second
    (('tweets',), ('reviews',), ('news',))
    """
    names, others = first.outcomes.task_names, second.outcomes.task_names
    place = {name: k for k, name in enumerate(others)}
    both = [k for k, name in enumerate(names) if name in place]
    if not both:
        found = f"{', '.join(names[:3])} and {', '.join(others[:3])}"
        raise InputError("tasks", found[:120], "at least one task of the same name", "Name the same tasks alike.")
    shared = tuple(names[k] for k in both)
    known = set(shared)
    return Matched(
        shared, np.array(both, dtype=np.intp), np.array([place[name] for name in shared], dtype=np.intp),
        tuple(name for name in names if name not in known), tuple(name for name in others if name not in known),
    )  # fmt: skip


def rows_in_common(first: View, second: View, tasks: Matched) -> tuple[Indices, Indices] | None:
    """Rows of either table in an order in which their subsets are the same; None where the subsets are not."""
    tables = first.outcomes, second.outcomes
    if not tasks.complete or tables[0].m != tables[1].m:
        return None
    masks = tables[0].masks, tables[1].masks[:, tasks.second]
    same = np.arange(tables[0].m)
    if np.array_equal(*masks):
        return same, same
    order = [np.lexsort(table.T) for table in masks]
    return (order[0], order[1]) if np.array_equal(masks[0][order[0]], masks[1][order[1]]) else None


def begins_the_other(first: View, second: View, tasks: Matched) -> bool:
    """Whether the subsets of one table are the first ones of the other."""
    tables = first.outcomes, second.outcomes
    m = min(table.m for table in tables)
    return tasks.complete and np.array_equal(tables[0].masks[:m], tables[1].masks[:m, tasks.second])


def _pair_size(outcomes: Outcomes, readout: str) -> int | None:
    return pair_readout_of(outcomes, readout)[1]
