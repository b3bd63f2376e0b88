"""The architectures by name, so that a file or a form can choose one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from kernelsm.models.hugging_face import hugging_face
from kernelsm.models.mlp import logistic, mlp
from kernelsm.models.resnet import resnet9
from kernelsm.models.transformer import transformer
from kernelsm.runtime.errors import InputError

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "logistic": logistic,
    "mlp": mlp,
    "transformer": transformer,
    "resnet9": resnet9,
    "hugging_face": hugging_face,
}


def build_model(name: str, **config: Any) -> nn.Module:
    """Return a network by the name of its architecture.

    Parameters
    ----------
    name : {"logistic", "mlp", "transformer", "resnet9", "hugging_face"}
    **config
        Arguments of the function of that name, `seed` among them; JSON types only.

    Raises
    ------
    InputError
        Unknown name, an argument that the architecture does not have, lacks or cannot use.
    """
    if name not in ARCHITECTURES:
        raise InputError(
            "architecture", repr(name)[:80], " or ".join(map(repr, ARCHITECTURES)), "Choose one of these."
        )
    builder = ARCHITECTURES[name]
    parameters = inspect.signature(builder).parameters
    known = ", ".join(parameters)
    for given in config:
        if given not in parameters:
            raise InputError(f"{name}, {given}", "an argument it does not have", known, "Leave it out or rename it.")
    for needed, parameter in parameters.items():
        if parameter.default is parameter.empty and needed not in config:
            raise InputError(f"{name}, {needed}", "nothing", known, "Give this argument.")
    seed = config.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise InputError(f"{name}, seed", repr(seed)[:80], "a whole number, 0 or more", "Change this setting.")
    return builder(**config)
