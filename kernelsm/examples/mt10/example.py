"""Meta-World MT10: the example, its policy and how its results were computed."""

from __future__ import annotations

from pathlib import Path

from kernelsm.estimators.recipe import Rates, Recipe, Size
from kernelsm.examples.example import WEIGHTS, Example, TableExample
from kernelsm.runtime.progress import Report, silent
from kernelsm.tasks.suite import REGRESSION, TaskSuite

_FOLDER = Path(__file__).parent


def _suite(report: Report = silent) -> TaskSuite:
    from kernelsm.examples.mt10.suite import mt10_suite  # needs torch, which the numbers of samples do not

    return mt10_suite()


def picture_of(task: str, folder: Path = _FOLDER) -> Path:
    """Where the picture of a task is."""
    return folder / "pictures" / f"{task}.webp"


MT10 = Example(
    name="mt10",
    title="Ten tasks of a robot arm",
    summary=(
        "Meta-World MT10: one policy was cloned from experts that open doors, push pucks and press buttons, and is "
        "fine-tuned on some of the ten tasks. Which task helps on which? Measured on demonstrations held out."
    ),
    folder=_FOLDER,
    truth_is="100 further subsets on which the policy was really fine-tuned",
    recipe=Recipe(
        suite=_suite,
        architecture="mlp",
        config={"sizes": [31, 256, 256, 4]},
        parameters=75_012,
        ridge=1.0,
        rates=Rates(
            base=60.0, gradients={"kronecker": 0.1, "gaussian": 2.0, "rademacher": 2.0, "sparse": 0.5},
            gradex={"projected": 5.0}, retraining=2.2,
        ),
        training={"epochs": 60, "learning_rate": 1e-3, "batch_size": 128},
        retraining={"precision": "single", "relative_tolerance": 0.01, "max_steps": 100},
        trained_weights=_FOLDER / WEIGHTS,
        counted=Size(samples=1_500, test_samples=750, classes=4, tasks=10, targets=10),
        objective=REGRESSION,
    ),
)  # fmt: skip

MT10_RETURNS = TableExample(
    name="mt10-returns",
    title="What the robot arm earns",
    summary=(
        "The policies of Meta-World MT10 in the simulator: fine-tuned on 90 subsets of the ten tasks, each acted "
        "ten times in every task. The return is the mean reward of a step, 10 where a task is solved."
    ),
    path=_FOLDER / "measured_return.parquet",
)
