"""A content hash for networks, for the cache keys of results computed from them."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import nn

from kernelsm.runtime.store import content_hash

# entries of a configuration that do not change the function: origin, versions, how it is run, names of classes
_NOT_THE_FUNCTION = frozenset(
    (
        "_name_or_path", "_model_name_or_path", "_commit_hash", "transformers_version", "architectures", "dtype",
        "torch_dtype", "use_cache", "return_dict", "output_attentions", "output_hidden_states", "id2label",
        "label2id", "problem_type", "task_specific_params", "initializer_range",
    )
)  # fmt: skip


def model_hash(model: nn.Module) -> str:
    """Forty hex digits of a model's weights and buffers, its modules and which parameters are frozen.

    For a Hugging Face network the configuration enters too: weights and modules do not hold the number of attention
    heads, the frequencies of positions and more.

    A module enters by the path of its class, or by the name that the class itself states as `hashed_as`: such a class
    may move to another file, and its networks keep the hash that outcomes and projects refer to.
    """
    kinds = [_class_name(type(module)) for module in model.modules()]
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    state = {
        name: (str(value.dtype), tuple(value.shape), _bytes(value)) for name, value in model.state_dict().items()
    }
    return content_hash(state, kinds, frozen, repr(model), *_configuration(model))


def _class_name(kind: type[nn.Module]) -> str:
    """The name that a class itself states (an inherited one does not count), or else its path."""
    return vars(kind).get("hashed_as") or f"{kind.__module__}.{kind.__qualname__}"


def _configuration(model: nn.Module) -> list[str]:
    """Hash of the configuration of the outermost module that has one; none where there is none to count."""
    found = (getattr(module, "config", None) for module in model.modules())
    config = next((one for one in found if hasattr(one, "to_dict")), None)
    if config is None:
        return []
    return [content_hash(json.dumps(_function_entries(config.to_dict()), sort_keys=True, default=str))]


def _function_entries(config: Any) -> Any:
    """The entries of a configuration, nested ones included, that change the function."""
    if not isinstance(config, dict):
        return config
    return {str(key): _function_entries(value) for key, value in config.items() if key not in _NOT_THE_FUNCTION}


def _bytes(value: torch.Tensor) -> object:
    """The raw bytes: NumPy knows no bfloat16."""
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
