"""The architectures by name, so that a file or a form can choose one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from kernelsm.models.arguments import check_architecture, check_arguments
from kernelsm.models.causal_text import adapted_language_model
from kernelsm.models.hugging_face import hugging_face
from kernelsm.models.mlp import logistic, mlp
from kernelsm.models.resnet import resnet9
from kernelsm.models.transformer import transformer

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "logistic": logistic,
    "mlp": mlp,
    "transformer": transformer,
    "resnet9": resnet9,
    "hugging_face": hugging_face,
    "causal_text": adapted_language_model,
}


def build_model(name: str, **config: Any) -> nn.Module:
    """Return a network by the name of its architecture.

    Parameters
    ----------
    name : {"logistic", "mlp", "transformer", "resnet9", "hugging_face", "causal_text"}
    **config
        Arguments of the function of that name, `seed` among them; JSON types only.

    Raises
    ------
    InputError
        Unknown name, an argument that the architecture does not have, lacks or cannot use.

    Examples
    --------
    >>> from kernelsm import build_model
    >>> model = build_model("mlp", sizes=(64, 32, 10), seed=0)
    >>> sum(parameter.numel() for parameter in model.parameters())
    2410
    """
    check_architecture(name, ARCHITECTURES)
    builder = ARCHITECTURES[name]
    check_arguments(name, builder, config)
    return builder(**config)
