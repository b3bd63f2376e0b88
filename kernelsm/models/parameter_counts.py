"""How many parameters d a built-in architecture has, by formula: nothing is built, and torch is not needed.

Each function has the name and the arguments of the architecture that it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from kernelsm.models.arguments import check_heads, check_sizes, check_switch
from kernelsm.runtime.checks import check_counts

MAX_PARAMETERS = 500_000_000  # of a network from a file


def mlp(sizes: Sequence[int], *, flatten: bool = False, seed: int = 0) -> int:
    """Count the weights and biases of all layers."""
    check_sizes(sizes)
    check_switch(flatten=flatten)
    return sum((wide + 1) * narrow for wide, narrow in pairwise(sizes))


def logistic(inputs: int, classes: int, *, flatten: bool = False, seed: int = 0) -> int:
    """Count a weight for each input and class, and a bias for each class."""
    check_counts(inputs=inputs, classes=classes)
    return mlp((inputs, classes), flatten=flatten, seed=seed)


def resnet9(channels: int = 3, classes: int = 10, *, width: int = 64, seed: int = 0) -> int:
    """Count 3 x 3 kernels, two numbers of BatchNorm for each channel, and the readout."""
    check_counts(channels=channels, classes=classes, width=width)
    wide = [channels, width, 2 * width, 2 * width, 2 * width, 4 * width, 8 * width, 8 * width, 8 * width]
    convolutions = sum(9 * before * after + 2 * after for before, after in pairwise(wide))
    return convolutions + (8 * width + 1) * classes


def transformer(
    vocabulary: int,
    classes: int,
    length: int,
    *,
    width: int = 128,
    heads: int = 4,
    layers: int = 2,
    expansion: int = 4,
    seed: int = 0,
) -> int:
    """Count both embeddings, the blocks, the last LayerNorm and the readout."""
    check_counts(
        vocabulary=vocabulary, classes=classes, length=length, width=width, heads=heads, layers=layers,
        expansion=expansion,
    )  # fmt: skip
    check_heads(width, heads)
    attention = 4 * (width + 1) * width  # queries, keys, values, output
    block = attention + mlp((width, expansion * width, width)) + 4 * width  # and two LayerNorms
    return (vocabulary + length) * width + layers * block + 2 * width + (width + 1) * classes


COUNTS: dict[str, Callable[..., int]] = {
    "logistic": logistic,
    "mlp": mlp,
    "transformer": transformer,
    "resnet9": resnet9,
}
