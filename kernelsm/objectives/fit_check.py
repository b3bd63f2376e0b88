"""Whether a network and samples fit together, seen by running the one on a few of the other."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from kernelsm.objectives.objective import Objective
from kernelsm.objectives.registry import find
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import TaskSuite

_SAMPLES = 4
_FIT = "Choose a network that is made for these samples, or read the samples as another kind."


@dataclass(frozen=True)
class ModelFacts:
    """What a run on a few samples shows.

    Parameters
    ----------
    parameters : int
        Number of parameters d that training changes.
    outputs : int
        C, numbers that it gives for each sample.
    milliseconds : float
        Of one sample, in a small batch and on the threads that torch has here.
    """

    parameters: int
    outputs: int
    milliseconds: float


def check_model(model: nn.Module, suite: TaskSuite) -> ModelFacts:
    """Run the network on a few training samples, in eval mode and without gradients, and look at its outputs.

    Parameters
    ----------
    model : torch.nn.Module
        Maps a batch of the suite's inputs to outputs (n, C).
    suite : TaskSuite

    Raises
    ------
    InputError
        Samples that the network cannot read, tokens that it does not know, no parameter to train, or outputs that are
        not finite, not those that the suite's objective asks for, or others each time.
    """
    objective = find(suite)
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if not parameters:
        raise InputError("network", "no parameter to train", "one or more", "Unfreeze the parameters.")
    shape, test_shape = suite.inputs.shape[1:], suite.test_inputs.shape[1:]
    if shape != test_shape:
        fix = "Bring all samples to one shape."
        raise InputError("test samples", f"shape {test_shape}", f"{shape}, as the training samples have", fix)
    check_tokens(model, suite)
    inputs = torch.from_numpy(suite.inputs[:_SAMPLES])
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            with _watched(model) as watch:
                outputs = _run(model, inputs, watch)
            started = time.perf_counter()
            again = model(inputs)
            milliseconds = 1000 * (time.perf_counter() - started) / len(inputs)
    finally:
        if training:
            model.train()
    _check_outputs(outputs, inputs, objective)
    check_same_answers(outputs, again, "network")
    return ModelFacts(parameters, objective.outputs, milliseconds)


def check_same_answers(outputs: torch.Tensor, again: torch.Tensor, place: str) -> None:
    """Refuse a network that gives other outputs for the same samples, as dropout that eval() does not reach does.

    Raises
    ------
    InputError
        The outputs differ by more than rounding.
    """
    first, second = outputs.detach().double(), again.detach().double()
    size = float(first.abs().nan_to_num().max())
    far = float((first - second).abs().nan_to_num().max())
    half = outputs.dtype in (torch.bfloat16, torch.float16)
    if far > (0.05 if half else 1e-3) * size:
        found = f"a network that answers differently each time: by up to {far / size:.0%} of its largest output"
        fix = (
            "Switch off what is random in it in eval mode: dropout as a module, not functional.dropout(x) without "
            "training=self.training."
        )
        raise InputError(place, found, "the same outputs for the same samples", fix)


@dataclass
class _Watch:
    """Which layers are at work, the innermost last: name, layer and the shape of what it is given."""

    at_work: list[tuple[str, nn.Module, tuple[int, ...]]] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)


@contextmanager
def _watched(model: nn.Module) -> Iterator[_Watch]:
    """Follow the layers with weights, so that a failure can name its layer."""
    watch = _Watch()

    def starts(name: str) -> Any:
        def hook(layer: nn.Module, given: tuple[Any, ...]) -> None:
            watch.at_work.append((name, layer, tuple(given[0].shape) if given else ()))

        return hook

    def ends(*_: Any) -> None:
        watch.finished.append(watch.at_work.pop()[0])

    hooks = []
    for name, layer in model.named_modules():
        if next(layer.parameters(recurse=False), None) is not None:
            hooks += [layer.register_forward_pre_hook(starts(name)), layer.register_forward_hook(ends)]
    try:
        yield watch
    finally:
        for hook in hooks:
            hook.remove()


def _run(model: nn.Module, inputs: torch.Tensor, watch: _Watch) -> Any:
    shape = tuple(inputs.shape[1:])
    what = f"samples of shape {shape}, {str(inputs.dtype).removeprefix('torch.')}"
    try:
        return model(inputs)
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        if "allocate memory" in reason:
            found = f"no memory left for {len(inputs)} samples"
            raise InputError("network", found, "a network that fits into memory", "Make it smaller.") from error
        if not watch.at_work:
            behind = f" behind layer {watch.finished[-1]!r}" if watch.finished else ""
            found = f"{what}, on which it fails{behind} ({reason})"
            raise InputError("network", found, "samples that it can read", _FIT) from error
        name, layer, given = watch.at_work[-1]
        if watch.finished:
            found = f"{what}, on which layer {name!r} fails: it is given shape {given}"
            raise InputError("network", found, _wants(layer), _FIT) from error
        rows = isinstance(layer, nn.Linear) and len(shape) > 1 and layer.in_features == math.prod(shape)
        fix = 'Set "flatten": true in the configuration of the network.' if rows else _FIT
        raise InputError("samples", what, f"{_wants(layer)}, for the first layer {name!r}", fix) from error


def _wants(layer: nn.Module) -> str:
    """What a layer reads, in words."""
    if isinstance(layer, nn.Linear):
        return f"{layer.in_features:,} numbers a sample, float32"
    if isinstance(layer, nn.Embedding):
        return f"tokens, whole numbers from 0 to {layer.num_embeddings - 1:,}"
    if isinstance(layer, nn.Conv2d):
        return f"images of {layer.in_channels} channels, (channels, height, width), float32"
    return f"what a layer of kind {type(layer).__name__} can read"


def check_tokens(model: nn.Module, suite: TaskSuite) -> None:
    """Refuse tokens out of the range of the network's first embedding, and sequences longer than its positions.

    Raises
    ------
    InputError
        Names the first such token or length.
    """
    first = next((layer for layer in model.modules() if isinstance(layer, nn.Embedding)), None)
    if first is None or not np.issubdtype(suite.inputs.dtype, np.integer):
        return
    most = first.num_embeddings - 1
    for place, tokens in (("training samples", suite.inputs), ("test samples", suite.test_inputs)):
        for token in (int(tokens.min(initial=0)), int(tokens.max(initial=0))):
            if not 0 <= token <= most:
                raise InputError(
                    place, f"token {token:,}", f"tokens from 0 to {most:,}, which the network knows",
                    "Use the tokenizer that belongs to the network, or a network with a larger vocabulary.",
                )  # fmt: skip
    # networks of this package and of transformers say in different ways how many positions they know
    position = getattr(model, "position", None)
    config = getattr(getattr(model, "network", None), "config", None)
    longest = getattr(position, "num_embeddings", None) or getattr(config, "max_position_embeddings", None)
    length = suite.inputs.shape[-1]
    if longest is not None and 0 < longest < length:  # -1 says that there is no limit
        found, expected = (
            f"sequences of {length:,} tokens",
            f"at most {longest:,}, which the network has",
        )
        raise InputError("samples", found, expected, "Cut the sequences, or choose a network for longer ones.")


def _check_outputs(outputs: Any, inputs: torch.Tensor, objective: Objective) -> None:
    """Refuse what is not finite or not as many numbers for each sample as the objective asks for."""
    expected = objective.expected_outputs
    if not (isinstance(outputs, torch.Tensor) and outputs.is_floating_point()):
        fix = "Return one tensor, of these numbers alone."
        raise InputError("network", f"outputs of type {type(outputs).__name__}", expected, fix)
    if outputs.ndim != 2 or len(outputs) != len(inputs):
        found = f"outputs of shape {tuple(outputs.shape)} for {len(inputs)} samples"
        raise InputError("network", found, expected, _FIT)
    objective.check_outputs(outputs.shape[1], "network")
    if not torch.isfinite(outputs).all():
        if inputs.is_floating_point() and not torch.isfinite(inputs).all():
            raise InputError("samples", "NaN or infinite numbers", "finite numbers", "Drop or fill these samples.")
        found = "outputs that are NaN or infinite"
        raise InputError("network", found, "finite numbers", "Scale the samples, or load other weights.")
