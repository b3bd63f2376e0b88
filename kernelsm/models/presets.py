"""Networks that fit the data, ready to be chosen, with the arguments of their training. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kernelsm.models.parameter_counts import COUNTS
from kernelsm.runtime.checks import check_choice, check_counts
from kernelsm.runtime.errors import InputError

Kind = Literal["tabular", "text", "image", "tokens"]

HIDDEN = 64  # units of the perceptron's one hidden layer
_SMALL_IMAGE = 4096  # numbers of an image that linear layers may read in a row
_CONVOLVED = 8  # pixels a side that ResNet-9 needs
_VALIDATED_FROM = 100  # with this many samples or more, a tenth is held out
_FEWEST_EPOCHS, _MOST_EPOCHS = 3, 200


@dataclass(frozen=True)
class Preset:
    """An architecture with its arguments and those of its training.

    Parameters
    ----------
    title : str
        A few words.
    sentence : str
        What it is, how large and what it is good for.
    architecture : str
        A name that `build_model` knows.
    config : dict
        Its arguments; JSON types only.
    training : dict
        Arguments of `train_base`; JSON types only.
    """

    title: str
    sentence: str
    architecture: str
    config: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """Number of parameters d."""
        return COUNTS[self.architecture](**self.config)


def presets(
    kind: Kind, input_shape: Sequence[int], classes: int, samples: int, *, vocabulary: int | None = None
) -> dict[str, Preset]:
    """Return the networks that fit these data, by name, the plainest first.

    Parameters
    ----------
    kind : {"tabular", "text", "image", "tokens"}
        What a sample is; the text of samples is read as embeddings.
    input_shape : sequence of int
        Shape of one sample: (features,), (channels, height, width), or (T,) for tokens.
    classes : int
        C.
    samples : int
        Number n of training samples.
    vocabulary : int, optional
        Number of tokens; needed where samples are tokens.

    Raises
    ------
    InputError
        Unknown kind, a count below 1, or a shape that is not one of this kind.
    """
    shape = tuple(int(side) for side in input_shape)
    check_counts(classes=classes, samples=samples)
    check_counts(**{f"input_shape, number {position}": side for position, side in enumerate(shape, start=1)})
    axes = {"tabular": 1, "text": 1, "image": 3, "tokens": 1}
    check_choice("kind", kind, axes)
    # numbers of any shape are read in a row; the other kinds have a shape of their own
    if not shape or (kind != "tabular" and len(shape) != axes[kind]):
        expected = f"{axes[kind]} number{'s' if axes[kind] > 1 else ''} for samples of kind {kind!r}"
        raise InputError("input_shape", repr(shape), expected, "Read the samples as another kind.")
    if kind == "tokens":
        return {"transformer": _transformer(shape[0], classes, samples, vocabulary)}
    convolved = kind == "image" and min(shape[1:]) >= _CONVOLVED
    found = {} if convolved and math.prod(shape) > _SMALL_IMAGE else _linear(shape, classes, samples)
    return {**found, **({"resnet9": _resnet9(shape, classes, samples)} if convolved else {})}


def _linear(shape: tuple[int, ...], classes: int, samples: int) -> dict[str, Preset]:
    inputs, flatten = math.prod(shape), {"flatten": True} if len(shape) > 1 else {}
    training = _training(samples, steps=20_000, batch_size=512, learning_rate=1e-2)
    return {
        "logistic": _preset(
            "Logistic regression", "a weight for each input and class, the quickest to compute with",
            "logistic", {"inputs": inputs, "classes": classes, **flatten}, training,
        ),
        "mlp": _preset(
            "Small neural network", f"one hidden layer of {HIDDEN} units, which sees what inputs mean together",
            "mlp", {"sizes": [inputs, HIDDEN, classes], **flatten}, training,
        ),
    }  # fmt: skip


def _resnet9(shape: tuple[int, ...], classes: int, samples: int) -> Preset:
    width = 16 if shape[0] > 1 else 8  # grey images need fewer channels, and each costs time
    return _preset(
        "ResNet-9", "eight convolutions, which see shapes wherever in the image they stand",
        "resnet9", {"channels": shape[0], "classes": classes, "width": width},
        _training(samples, steps=1_000, batch_size=128, learning_rate=2e-3),
    )  # fmt: skip


def _transformer(length: int, classes: int, samples: int, vocabulary: int | None) -> Preset:
    if vocabulary is None:
        raise InputError("vocabulary", "nothing", "the number of tokens", "Give the largest token plus 1.")
    check_counts(vocabulary=vocabulary)
    return _preset(
        "Small transformer", "two blocks of attention, which see the order of the tokens",
        "transformer", {"vocabulary": vocabulary, "classes": classes, "length": length},
        {**_training(samples, steps=5_000, batch_size=128, learning_rate=1e-3), "weight_decay": 0.1},
    )  # fmt: skip


def _preset(title: str, nature: str, architecture: str, config: dict[str, Any], training: dict[str, Any]) -> Preset:
    sentence = f"{COUNTS[architecture](**config):,} parameters: {nature}."
    return Preset(title, sentence, architecture, config, training)


def _training(samples: int, *, steps: int, batch_size: int, learning_rate: float) -> dict[str, Any]:
    """Arguments of `train_base`: about `steps` steps at most, fewer where a tenth held out says so."""
    epochs = min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, steps // math.ceil(samples / batch_size)))
    found = {
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size if samples > batch_size else None,
    }
    return {**found, "validation": 0.1, "patience": 10} if samples >= _VALIDATED_FROM else found
