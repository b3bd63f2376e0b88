"""What leaving tasks out really changes: a network trained with and without them, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.checks import check_choice, check_probability
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.wording import LEVEL
from kernelsm.tasks.weighting import EQUALLY, Weighting

Array = NDArray[np.float64]
FINE_TUNED, ANEW = "fine_tuned", "anew"
WAYS = (FINE_TUNED, ANEW)
"""Fine-tuned from W0 with the pull towards it, which is what outcomes and predictions are about; or trained anew."""


@dataclass(frozen=True)
class PairedChange:
    """An outcome without some tasks minus that with all, paired by seed.

    Parameters
    ----------
    mean : float
        In the outcome's unit, over seeds.
    margin : float
        Half its interval, Student's t over the seeds; NaN with a single seed.
    by_seed : tuple of float
    with_all, without : float
        Mean outcomes.
    """

    mean: float
    margin: float
    by_seed: tuple[float, ...]
    with_all: float
    without: float


def paired_change(with_all: ArrayLike, without: ArrayLike, *, level: float = LEVEL) -> PairedChange:
    """Compare outcomes without some tasks with those of all, pair by pair.

    Parameters
    ----------
    with_all, without : array-like, shape (n,)
        Of the same n seeds, in the same order.
    level : float
        Of the interval.

    Raises
    ------
    InputError
        Other shapes, or a level outside of 0 to 1.

    Examples
    --------
    >>> change = paired_change([1.0, 2.0, 3.0], [0.4, 1.5, 2.5])
    >>> round(change.mean, 3), round(change.margin, 3)
    (-0.533, 0.097)
    """
    first, second = (np.asarray(values, dtype=np.float64) for values in (with_all, without))
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        found = f"shapes {first.shape} and {second.shape}"
        raise InputError("outcomes", found, "two of one shape (n,)", "Give both outcomes of every seed.")
    check_probability("level", level, fix="0.9 is usual.")
    n, change = len(first), second - first
    margin = float(t.ppf((1 + level) / 2, n - 1) * change.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return PairedChange(
        float(change.mean()), margin, tuple(change.tolist()), float(first.mean()), float(second.mean())
    )


@dataclass(frozen=True)
class MeasureName:
    """A measure of the networks: its name, its unit and its sign."""

    name: str
    unit: str
    higher_is_better: bool


@dataclass(frozen=True, eq=False)
class Confirmation:
    """Networks that were really trained with all tasks and without some, and what they measure.

    Parameters
    ----------
    source : str
        What the tasks are those of: an example with a model, or a project.
    left_out : tuple of int
        Indices of the tasks left out, rising.
    task_names, target_names : tuple of str
    ridge : float
        λ of the pull towards W0 of the fine-tuned networks.
    seeds : tuple of int
        Of initial weights, of batches and of the samples held out.
    measures : tuple of MeasureName
        The first is the loss that is trained on.
    values : mapping of str to ndarray, shape (seeds, 2, measures, q)
        Way of `WAYS` -> outcomes with all tasks, and without those left out.
    title : str
        What it is called.
    target_weights : tuple of float, optional
        How much each target counts in the mean over targets; all the same where not given.
    task_weighting : {"equally", "by_size"}
        How tasks were weighed in all trainings.
    """

    source: str
    left_out: tuple[int, ...]
    task_names: tuple[str, ...]
    target_names: tuple[str, ...]
    ridge: float
    seeds: tuple[int, ...]
    measures: tuple[MeasureName, ...]
    values: Mapping[str, Array]
    title: str = ""
    target_weights: tuple[float, ...] | None = None
    task_weighting: Weighting = EQUALLY

    @property
    def kept(self) -> NDArray[np.bool_]:
        """The subset without them, shape (K,)."""
        mask = np.ones(len(self.task_names), dtype=np.bool_)
        mask[list(self.left_out)] = False
        return mask

    def outcomes(self, way: str, measure: str) -> Outcomes:
        """Return a measure as a table: for every seed a row of all tasks, then one without those left out.

        Raises
        ------
        InputError
            A way or a measure that was not measured.
        """
        check_choice("way", way, self.values)
        check_choice("measure", measure, [one.name for one in self.measures])
        position = [one.name for one in self.measures].index(measure)
        chosen = self.measures[position]
        masks = np.tile(np.array([np.ones(len(self.task_names), dtype=np.bool_), self.kept]), (len(self.seeds), 1))
        return Outcomes(
            masks, self.values[way][:, :, position].reshape(len(masks), -1), task_names=self.task_names,
            target_names=self.target_names, higher_is_better=chosen.higher_is_better, meta={"unit": chosen.unit},
            target_weights=self.target_weights,
        )  # fmt: skip

    def change(self, way: str, measure: str, target: str = "") -> PairedChange:
        """Compare with and without by one measure of one target, or of the mean over targets for ""."""
        table = self.outcomes(way, measure)
        values = (table.target(target) if target else table.mean_target()).values[:, 0]
        return paired_change(values[::2], values[1::2])
