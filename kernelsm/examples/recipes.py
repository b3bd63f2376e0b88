"""What stands behind outcomes that are computed: the samples, the network, and how W0 is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, Protocol

from kernelsm.examples.digits.suite import digits_suite
from kernelsm.examples.modular import Operation, modular_suite
from kernelsm.examples.sentiment.sentences import SENTENCES
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store
from kernelsm.samples.reader import read_samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping import SampleMapping, TaskRule
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
        "exact" (also features as they were brought), or "projected" to 512 dimensions -> milliseconds a subset, with
        all logits.
    retraining : float
        Seconds a subset.
    inputs : float
        Seconds until the samples are there.
    """

    base: float
    gradients: dict[str, float]
    gradex: dict[str, float]
    retraining: float
    inputs: float = 0.0


@dataclass(frozen=True)
class Size:
    """How many training samples, test samples, classes C, tasks K and targets q there are."""

    samples: int
    test_samples: int
    classes: int
    tasks: int
    targets: int

    @classmethod
    def of(cls, suite: TaskSuite) -> Size:
        """Count those of a suite."""
        return cls(
            len(suite.inputs), len(suite.test_inputs), suite.classes, len(suite.task_names), len(suite.target_names)
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
        Returns the `TaskSuite`, and tells a report how far it is where that takes a while.
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
        Arguments of `train_base`; None where W0 is what was brought.
    retraining : dict
        Arguments of `Retraining` besides the ridge.
    weights : Path, optional
        A file of weights to start from.
    features : Path, optional
        A file of gradient features, in place of a network.
    counted : Size, optional
        Known without loading the samples.
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
    features: Path | None = None
    counted: Size | None = None

    @cached_property
    def size(self) -> Size:
        """How many samples, classes, tasks and targets there are."""
        return self.counted or Size.of(self.suite())


@cache
def _modular(operation: Operation, share: float, report: Report = silent) -> TaskSuite:
    return modular_suite(operation, train_fraction=share)


def _digits(report: Report = silent) -> TaskSuite:
    return digits_suite()


SENTIMENT = SampleMapping(
    "sentiment", ("text",), "text", TaskRule("column", ("source", "band")), split="split", target="source"
)


_made: dict[str, TaskSuite] = {}


def _sentiment(report: Report = silent) -> TaskSuite:
    """The shipped sentences through the door that a user's own go through; the store keeps their embeddings."""
    if "sentiment" not in _made:
        from kernelsm.models.text_embedding import embedded  # needs torch, which the numbers of samples do not

        samples = read_samples(SENTENCES)
        _made["sentiment"] = build_suite(samples, SENTIMENT, embed=lambda texts: embedded(texts, Store(), report))
    return _made["sentiment"]


def _modular_recipe(operation: Operation, share: float, target_loss: float) -> Recipe:
    """The paper's network, trained on a share of the table and stopped while it still learns.

    At zero training loss no subset would move it. The strong pull keeps fine-tuning short, which makes 100
    retrainings affordable, and near its first order.
    """
    return Recipe(
        suite=partial(_modular, operation, share),
        architecture="transformer",
        config={"vocabulary": 99, "classes": 97, "length": 4},
        parameters=422_497,
        ridge=10.0,
        rates=Rates(
            base=45.0, gradients={"kronecker": 0.15, "gaussian": 6.0, "rademacher": 6.0, "sparse": 1.5},
            gradex={"projected": 700.0}, retraining=8.0,
        ),
        training={
            "epochs": 150, "learning_rate": 1e-3, "weight_decay": 1.0, "batch_size": 512, "target_loss": target_loss,
        },
        retraining={"precision": "single", "relative_tolerance": 0.01, "max_steps": 100},
    )  # fmt: skip


RECIPES: dict[str, Recipe] = {
    "digits": Recipe(
        suite=_digits,
        architecture="mlp",
        config={"sizes": [64, 32, 10]},
        parameters=2_410,
        ridge=0.03,
        rates=Rates(
            base=1.0,
            gradients={"exact": 0.03, "kronecker": 0.02, "gaussian": 0.1, "rademacher": 0.1, "sparse": 0.07},
            gradex={"exact": 7.0, "projected": 5.0}, retraining=0.5,
        ),
    ),
    "modular-addition": _modular_recipe("addition", 0.5, 1.0),
    "modular-quadratic": _modular_recipe("quadratic", 0.7, 0.9),
    "sentiment": Recipe(
        suite=_sentiment,
        architecture="mlp",
        config={"sizes": [384, 10, 2]},
        parameters=3_872,
        ridge=0.03,
        rates=Rates(
            base=1.0,
            gradients={"exact": 0.07, "kronecker": 0.05, "gaussian": 0.4, "rademacher": 0.4, "sparse": 0.2},
            gradex={"exact": 6.0, "projected": 3.0}, retraining=0.1, inputs=30.0,
        ),
        # stopped early: W0 knows what the sentences share, and subsets still move it
        training={"epochs": 100, "learning_rate": 1e-2, "target_loss": 0.38},
        retraining={"precision": "single", "relative_tolerance": 0.01, "max_steps": 100},
        counted=Size(samples=1_792, test_samples=608, classes=2, tasks=16, targets=4),
    ),
}  # fmt: skip
