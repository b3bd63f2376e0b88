"""Handwritten digits: the example, its network and how its results were computed."""

from __future__ import annotations

from pathlib import Path

from kernelsm.estimators.recipe import Rates, Recipe
from kernelsm.examples.digits.suite import digits_suite
from kernelsm.examples.example import WEIGHTS, Example
from kernelsm.runtime.progress import Report, silent
from kernelsm.tasks.suite import TaskSuite

_FOLDER = Path(__file__).parent


def _suite(report: Report = silent) -> TaskSuite:
    return digits_suite()


DIGITS = Example(
    name="digits",
    title="Handwritten digits",
    summary=(
        "20 tasks, each half of the training images of one real handwritten digit. Three halves carry a "
        "wrong label on purpose and one is a near copy of another. Which ones hurt, and which pairs interact?"
    ),
    folder=_FOLDER,
    truth_is="100 further subsets on which the network was really retrained",
    networks=5,
    recipe=Recipe(
        suite=_suite,
        architecture="mlp",
        config={"sizes": [64, 32, 10]},
        parameters=2_410,
        ridge=0.03,
        rates=Rates(
            base=1.0,
            gradients={"exact": 0.03, "kronecker": 0.02, "gaussian": 0.1, "rademacher": 0.1, "sparse": 0.07},
            gradex={"exact": 7.0, "projected": 5.0}, retraining=0.5,
        ),
        trained_weights=_FOLDER / WEIGHTS,
    ),
)  # fmt: skip
