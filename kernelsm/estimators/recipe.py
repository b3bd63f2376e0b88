"""What computed outcomes are made from: the samples, the network, and how W0 is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from kernelsm.objectives.registry import DEFAULT, find
from kernelsm.runtime.progress import Report
from kernelsm.tasks.suite import TaskSuite


@dataclass(frozen=True)
class Rates:
    """Measured cost on two cores, for estimates and progress bars.

    Parameters
    ----------
    base : float
        Seconds to train W0.
    gradients : dict
        Projection -> milliseconds a sample and output, at 512 dimensions.
    gradex : dict
        "exact" (also for uploaded features), or "projected" to 512 dimensions -> milliseconds a subset, with all
        outputs.
    retraining : float
        Seconds a subset.
    inputs : float
        Seconds to load the samples.
    """

    base: float
    gradients: dict[str, float]
    gradex: dict[str, float]
    retraining: float
    inputs: float = 0.0


@dataclass(frozen=True)
class Size:
    """How many training samples, test samples, outputs C of the network, tasks K and targets q there are."""

    samples: int
    test_samples: int
    classes: int
    tasks: int
    targets: int

    @classmethod
    def of(cls, suite: TaskSuite) -> Size:
        """Count those of a suite."""
        return cls(
            len(suite.inputs),
            len(suite.test_inputs),
            find(suite).outputs,
            len(suite.task_names),
            len(suite.target_names),
        )


class SuiteMaker(Protocol):
    """Makes the samples of a recipe."""

    def __call__(self, report: Report = ...) -> TaskSuite:
        """Return the samples."""


@dataclass(frozen=True)
class Recipe:
    """Samples and a network.

    Parameters
    ----------
    suite : callable
        Returns the `TaskSuite`; reports its progress where that takes a while.
    architecture : str
        A name that `models.build_model` knows; "" where there are gradient features instead of a network.
    config : dict
        Its arguments; JSON types only.
    parameters : int
        d; with gradient features the number of their coordinates.
    ridge : float
        λ of the pull towards W0.
    rates : Rates
    training : dict, optional
        Arguments of `train_base`; None where W0 was uploaded.
    retraining : dict
        Arguments of `Retraining` besides the ridge.
    weights : Path, optional
        A file of weights to start from; they are W0 where `training` is None.
    trained_weights : Path, optional
        A file of W0 as `training` once made it. Training does not give the same network on every processor, so
        results for W0 can only be compared with results that start from the same file.
    features : Path, optional
        A file of gradient features, in place of a network.
    counted : Size, optional
        The size, where it is known without loading the samples.
    objective : str
        Name of the objective of the samples.
    """

    suite: SuiteMaker
    architecture: str
    config: dict[str, Any]
    parameters: int
    ridge: float
    rates: Rates
    training: dict[str, Any] | None = field(default_factory=dict)
    retraining: dict[str, Any] = field(default_factory=dict)
    weights: Path | None = None
    trained_weights: Path | None = None
    features: Path | None = None
    counted: Size | None = None
    objective: str = DEFAULT

    @cached_property
    def size(self) -> Size:
        """How many samples, outputs, tasks and targets there are."""
        return self.counted or Size.of(self.suite())
