"""Names a network by its content, for the keys of what is computed from it."""

from __future__ import annotations

import torch
from torch import nn

from kernelsm.runtime.store import content_hash


def model_hash(model: nn.Module) -> str:
    """Forty hex digits of a model's weights and buffers, its modules and which parameters are frozen."""
    kinds = [f"{type(module).__module__}.{type(module).__qualname__}" for module in model.modules()]
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    state = {
        name: (str(value.dtype), tuple(value.shape), _bytes(value)) for name, value in model.state_dict().items()
    }
    return content_hash(state, kinds, frozen, repr(model))


def _bytes(value: torch.Tensor) -> object:
    """The raw bytes: NumPy knows no bfloat16."""
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
