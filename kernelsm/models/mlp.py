"""A multilayer perceptron; without hidden layers it is logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from kernelsm.models.arguments import check_counts
from kernelsm.models.seeding import seeded
from kernelsm.runtime.errors import InputError


def mlp(sizes: Sequence[int], *, seed: int = 0) -> nn.Sequential:
    """Return Linear layers of the given sizes with ReLU between them, e.g. (64, 32, 10), freshly initialised.

    Raises
    ------
    InputError
        Fewer than two sizes, or one below 1.
    """
    if not isinstance(sizes, list | tuple) or len(sizes) < 2:
        raise InputError(
            "sizes", repr(sizes)[:80], "two sizes or more", "Name inputs and classes, e.g. [64, 32, 10]."
        )
    check_counts(**{f"sizes, number {position}": size for position, size in enumerate(sizes, start=1)})
    layers: list[nn.Module] = []
    with seeded(seed):
        for i, (wide, narrow) in enumerate(pairwise(sizes)):
            layers += [nn.ReLU()] if i else []
            layers.append(nn.Linear(wide, narrow))
    return nn.Sequential(*layers)


def logistic(inputs: int, classes: int, *, seed: int = 0) -> nn.Sequential:
    """Return multinomial logistic regression of `inputs` numbers, freshly initialised."""
    check_counts(inputs=inputs, classes=classes)
    return mlp((inputs, classes), seed=seed)
