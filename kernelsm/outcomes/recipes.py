"""What stands behind each built-in example that has a model: its samples, its network, and how W0 is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from kernelsm.tasks.digits import digits_suite
from kernelsm.tasks.modular import Operation, modular_suite
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
        "exact", or "projected" to 512 dimensions -> milliseconds a subset, with all logits.
    retraining : float
        Seconds a subset.
    """

    base: float
    gradients: dict[str, float]
    gradex: dict[str, float]
    retraining: float


@dataclass(frozen=True)
class Recipe:
    """An example's samples and network.

    Parameters
    ----------
    suite : callable
        Returns the `TaskSuite`.
    architecture : str
        A name that `models.build_model` knows.
    config : dict
        Its arguments; JSON types only.
    parameters : int
        d.
    ridge : float
        λ of the pull towards W0.
    rates : Rates
    training : dict
        Arguments of `train_base`.
    retraining : dict
        Arguments of `Retraining` besides the ridge.
    """

    suite: Callable[[], TaskSuite]
    architecture: str
    config: dict[str, Any]
    parameters: int
    ridge: float
    rates: Rates
    training: dict[str, Any] = field(default_factory=dict)
    retraining: dict[str, Any] = field(default_factory=dict)


@cache
def _modular(operation: Operation, share: float) -> TaskSuite:
    return modular_suite(operation, train_fraction=share)


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
        suite=digits_suite,
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
}  # fmt: skip
