"""A multilayer perceptron; without hidden layers it is logistic regression."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from kernelsm.models.arguments import check_sizes, check_switch
from kernelsm.models.seeding import seeded
from kernelsm.runtime.checks import check_counts


def mlp(sizes: Sequence[int], *, flatten: bool = False, seed: int = 0) -> nn.Sequential:
    """Return Linear layers of the given sizes with ReLU between them, e.g. (64, 32, 10), freshly initialised.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden units, outputs: a number for each class, quantity or label.
    flatten : bool
        Read samples of any shape, images (channels, h, w) say, as their numbers in a row.
    seed : int
        Of the initial weights.

    Raises
    ------
    InputError
        Fewer than two sizes, or one below 1.
    """
    check_sizes(sizes)
    check_switch(flatten=flatten)
    layers: list[nn.Module] = []
    with seeded(seed):
        for i, (wide, narrow) in enumerate(pairwise(sizes)):
            layers += [nn.ReLU()] if i else []
            layers.append(nn.Linear(wide, narrow))
    if not flatten:
        return nn.Sequential(*layers)
    # a layer in front, and yet weights of the same names: they are read from files
    return nn.Sequential(OrderedDict([("flatten", nn.Flatten()), *((str(i), part) for i, part in enumerate(layers))]))


def logistic(inputs: int, classes: int, *, flatten: bool = False, seed: int = 0) -> nn.Sequential:
    """Return multinomial logistic regression of `inputs` numbers, freshly initialised; `flatten` as for `mlp`.

    With quantities in place of classes it is linear regression.
    """
    check_counts(inputs=inputs, classes=classes)
    return mlp((inputs, classes), flatten=flatten, seed=seed)
