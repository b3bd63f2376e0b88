"""Modular arithmetic (paper section 4.1): the table of an operation mod p, cut into cells that are the tasks.

Both modular examples share these samples and their network.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kernelsm.estimators.recipe import Rates, Recipe
from kernelsm.runtime.checks import check_choice, check_number, check_whole
from kernelsm.runtime.progress import Report, silent
from kernelsm.tasks.suite import TaskSuite

Operation = Literal["addition", "quadratic"]
TOKENS = 4
FORMULAS = {"addition": "a + b", "quadratic": "a² + ab + b²"}


def modular_suite(
    operation: Operation = "addition",
    p: int = 97,
    *,
    cell: int = 20,
    test_fraction: float = 0.1,
    train_fraction: float = 1.0,
    seed: int = 0,
) -> TaskSuite:
    """Return the p x p table of an operation as tasks: the cells of a grid over both operands.

    A sample is the sequence of tokens a, operator, b, "=" and its class is the result. Tokens 0..p-1 are the numbers,
    p is the operator, p + 1 is "=". Cell G_ij holds the samples with i = ⌊a / cell⌋ and j = ⌊b / cell⌋; with the
    paper's p = 97 and cell = 20 there are K = 25. The targets are the same cells of the test samples, so that an
    attribution says what training on one cell does to another.

    Parameters
    ----------
    operation : {"addition", "quadratic"}
        a + b mod p, or a² + ab + b² mod p. Both are symmetric in a and b: mirrored cells share their facts.
    p : int
        Modulus, 2 or more.
    cell : int
        Width of a cell, 1 to p.
    test_fraction : float
        Share of the table kept for testing, drawn at random, above 0 and below 1 (paper: 0.1).
    train_fraction : float
        Share of the rest that is trained on, above 0 and up to 1 (paper: 1). A smaller share is part of a larger one.
    seed : int
        Of the draw.

    Returns
    -------
    TaskSuite
        Inputs of int64, shape (n, 4).

    Raises
    ------
    InputError
        An argument out of its range, or a cell that is left without a training or test sample.
    """
    _check(operation, p, cell, test_fraction, train_fraction, seed)
    a, b = (axis.ravel() for axis in np.meshgrid(np.arange(p), np.arange(p), indexing="ij"))
    order = np.random.default_rng(seed).permutation(p * p)
    tested = max(1, round(test_fraction * p * p))
    test = np.sort(order[:tested])
    train = np.sort(order[tested : tested + round(train_fraction * (p * p - tested))])
    tokens = np.stack([a, np.full_like(a, p), b, np.full_like(a, p + 1)], axis=1)
    results = _results(operation, a, b) % p
    per_axis = -(-p // cell)
    cells = a // cell * per_axis + b // cell
    names = _names(p, cell)
    return TaskSuite(
        inputs=tokens[train],
        labels=results[train],
        task_of=cells[train],
        test_inputs=tokens[test],
        test_labels=results[test],
        target_of=cells[test],
        task_names=names,
        target_names=names,
        classes=p,
        meta={
            "source": f"{FORMULAS[operation]} mod {p}", "cell": cell, "test_fraction": test_fraction,
            "train_fraction": train_fraction, "seed": seed,
        },
    )  # fmt: skip


def modular_recipe(operation: Operation, train_fraction: float, target_loss: float, trained_weights: Path) -> Recipe:
    """Return the paper's network, trained on a share of the table and stopped while it still learns.

    At zero training loss no subset would move it. The strong pull keeps fine-tuning short, which makes 100
    retrainings affordable, and near its first order.

    Parameters
    ----------
    operation, train_fraction
        As of `modular_suite`.
    target_loss : float
        Training loss in nats at which training stops.
    trained_weights : Path
        Its W0.
    """
    return Recipe(
        suite=partial(_suite, operation, train_fraction),
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
        trained_weights=trained_weights,
    )  # fmt: skip


@cache
def _suite(operation: Operation, train_fraction: float, report: Report = silent) -> TaskSuite:
    return modular_suite(operation, train_fraction=train_fraction)


def _results(operation: Operation, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    return a + b if operation == "addition" else a * a + a * b + b * b


def _names(p: int, cell: int) -> tuple[str, ...]:
    ranges = [(start, min(start + cell, p) - 1) for start in range(0, p, cell)]
    return tuple(f"a {a}-{to_a}, b {b}-{to_b}" for a, to_a in ranges for b, to_b in ranges)


def _check(operation: str, p: int, cell: int, test_fraction: float, train_fraction: float, seed: int) -> None:
    check_choice("operation", operation, get_args(Operation))
    check_whole("p", p, 2)
    check_whole("cell", cell, 1, p)
    check_number("test_fraction", test_fraction, above=0, below=1)
    check_number("train_fraction", train_fraction, above=0, most=1)
    check_whole("seed", seed, 0)
