"""Networks that predict quantities in their own units, brought to the standardised ones of a suite."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import nn

from kernelsm.runtime.errors import InputError


class StandardUnits(nn.Module):
    """A network whose outputs are quantities in their own units, as one with standardised outputs.

    Parameters
    ----------
    network : torch.nn.Module
        Maps samples to quantities (n, C).
    settings : mapping
        Those of the suite's objective: `centre` and `scale` of each quantity.

    Examples
    --------
    >>> import torch
    >>> from kernelsm.models.standard_units import StandardUnits
    >>> prices = torch.nn.Linear(2, 1)
    >>> standardised = StandardUnits(prices, {"centre": [150.0], "scale": [80.0]})
    >>> sample = torch.ones(1, 2)
    >>> bool(torch.allclose(150 + 80 * standardised(sample), prices(sample)))
    True
    """

    # see `model_hash`: the name stays, wherever this file goes
    hashed_as = "kernelsm.models.standard_units.StandardUnits"

    def __init__(self, network: nn.Module, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        centre, scale = _numbers(settings)
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Map samples to standardised quantities (n, C)."""
        return cast("torch.Tensor", (self.network(samples) - self.centre) / self.scale)


def in_standard_units(model: nn.Module, settings: Mapping[str, Any]) -> nn.Module:
    """Return a copy of a built-in network whose last layer gives standardised quantities instead of their own units.

    Parameters
    ----------
    model : torch.nn.Module
        Its last layer is linear.
    settings : mapping
        As of `StandardUnits`.

    Raises
    ------
    InputError
        The last layer is not linear, has no bias, or has another number of outputs.
    """
    model = copy.deepcopy(model)
    centre, scale = _numbers(settings)
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1:]
    if not last or last[0].bias is None or last[0].out_features != len(centre):
        found = "no last layer that is linear with a bias" if not last else f"{last[0]}"
        fix = "Bring one that predicts standardised quantities."
        raise InputError("network", found[:80], f"a linear last layer of {len(centre)} outputs", fix)
    with torch.no_grad():
        last[0].bias.sub_(centre).div_(scale)
        last[0].weight.div_(scale[:, None])
    return model


def _numbers(settings: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    centre, scale = (torch.tensor(settings[name], dtype=torch.float32) for name in ("centre", "scale"))
    return centre, scale
