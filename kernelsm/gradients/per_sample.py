"""Projected per-sample gradients of a model, by the fastest engine that is right for it.

`Hooks` takes one forward pass and one backward pass per output for a whole batch and never computes a whole
gradient where the projection needs only its factors; `Vmap` differentiates all samples of a batch in one batched
program; `Loop` runs sample by sample. An engine is used only if it agrees with `Loop` on a few samples from all over
the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from kernelsm.gradients.contributions import Contribution, Full
from kernelsm.gradients.directions import DirectionsSketch
from kernelsm.gradients.projections import Kronecker
from kernelsm.gradients.recorder import Recorder, trace
from kernelsm.gradients.sample_axes import Unsupported, wide
from kernelsm.gradients.sketches import Sketch, gaussian_rows
from kernelsm.objectives.objective import Linearisation
from kernelsm.runtime.errors import InputError

_VMAP_BUDGET = 2**28  # bytes of gradients that vmap may hold at a time


class Engine(Protocol):
    """Computes projected per-sample gradients of one model."""

    name: str
    sample: torch.Tensor
    """What it was made with besides the model."""
    numbers_per_sample: int
    """Numbers that one sample and one output need while they are worked on, roughly."""

    def __init__(self, model: nn.Module, sample: torch.Tensor) -> None:
        """Make the engine of a model, with a batch of one sample."""

    def project(
        self, batch: torch.Tensor, labels: torch.Tensor, linearisation: Linearisation, sketch: Sketch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return outputs (n, C) and the projected gradients (n, Q, k) of what is linearised in a batch."""


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters to differentiate by: those that require a gradient; shared ones appear once."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad and p.numel()}


def outputs_of(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Outputs (n, C) of a batch.

    Raises
    ------
    InputError
        The model's forward pass raises, or returns something else.
    """
    try:
        found = model(batch)
    except (Unsupported, InputError):
        raise
    except Exception as error:
        raise InputError(
            "model", f"{type(error).__name__} in its forward pass: {_one_line(error)}",
            f"outputs (n, C) for inputs of shape {tuple(batch.shape)} and type {batch.dtype}",
            "Run the model on these inputs by itself until it returns its outputs.",
        ) from error  # fmt: skip
    return checked_outputs(found, len(batch))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:299] + "…"


def checked_outputs(found: object, count: int) -> torch.Tensor:
    """Return what a model returned, as a tensor or as the field `logits`.

    Raises
    ------
    InputError
        It is no floating tensor of shape (count, C).
    """
    outputs = getattr(found, "logits", found)
    if not (isinstance(outputs, torch.Tensor) and outputs.is_floating_point()):
        fix = "Return one tensor of floating numbers."
        raise InputError("model", f"output of type {type(found).__name__}", f"a tensor ({count}, C)", fix)
    if outputs.dim() != 2 or len(outputs) != count:
        fix = "Return one row of numbers for each sample."
        raise InputError("model", f"output of shape {tuple(outputs.shape)}", f"({count}, C)", fix)
    return outputs


class Hooks:
    """Gradients from the inputs of layers and the gradients of their outputs (see `recorder`)."""

    name = "hooks"

    def __init__(self, model: nn.Module, sample: torch.Tensor) -> None:
        self.model, self.sample = model, sample
        self.names = {id(p): name for name, p in trainable(model).items()}
        self.axes, self.numbers_per_sample = trace(lambda batch: outputs_of(model, batch), self.names, sample)

    def project(
        self, batch: torch.Tensor, labels: torch.Tensor, linearisation: Linearisation, sketch: Sketch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One forward pass, one backward pass per differentiated number."""
        with torch.enable_grad(), Recorder(self.names, len(batch), self.axes) as recorder:
            outputs = outputs_of(self.model, batch)
        with torch.enable_grad():
            sums = linearisation.differentiated(outputs, labels).sum(dim=0).unbind()
        edges = recorder.edges()
        by_output = [
            torch.autograd.grad(one, edges, retain_graph=number + 1 < len(sums), allow_unused=True)
            for number, one in enumerate(sums)
        ]
        gradients = [_stacked(found) for found in zip(*by_output, strict=True)]
        return _sketched(outputs, len(sums), sketch, recorder.contributions(gradients))


def _stacked(gradients: tuple[torch.Tensor | None, ...]) -> torch.Tensor | None:
    """Gradients of all Q numbers, (Q, *shape); one that does not depend on the tensor has zeros."""
    some = next((g for g in gradients if g is not None), None)
    if some is None:
        return None
    if len(gradients) == 1:
        return some[None]
    return torch.stack([some.new_zeros(()).expand_as(some) if g is None else g for g in gradients])


def _sketched(
    outputs: torch.Tensor, width: int, sketch: Sketch, parts: Iterator[tuple[str, Contribution]]
) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        into = wide(outputs).new_zeros((width, len(outputs), sketch.dim))
        for parameter, contribution in parts:
            sketch.add(into, parameter, contribution)
        return outputs.detach(), into.transpose(0, 1)


class _WholeGradients:
    """Engines that compute every gradient in full before projecting it."""

    def __init__(self, model: nn.Module, sample: torch.Tensor) -> None:
        self.model, self.sample = model, sample
        self.numbers_per_sample = sum(p.numel() for p in trainable(model).values())


class Vmap(_WholeGradients):
    """Gradients by torch.func, for models whose layers have no rule."""

    name = "vmap"

    def project(
        self, batch: torch.Tensor, labels: torch.Tensor, linearisation: Linearisation, sketch: Sketch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Differentiate sample by sample, as many at once as fit."""
        parameters = {name: p.detach() for name, p in trainable(self.model).items()}
        fixed = {name: p.detach() for name, p in self.model.named_parameters() if name not in parameters}
        fixed |= dict(self.model.named_buffers())

        def one(
            weights: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor
        ) -> tuple[torch.Tensor, torch.Tensor]:
            found = torch.func.functional_call(self.model, (weights, fixed), (x.unsqueeze(0),))
            outputs = checked_outputs(found, 1)
            return linearisation.differentiated(outputs, y.unsqueeze(0)).squeeze(0), outputs.squeeze(0)

        gradients_of_all = torch.func.vmap(torch.func.jacrev(one, has_aux=True), in_dims=(None, 0, 0))
        width = linearisation.width(outputs_of(self.model, batch[:1]).shape[1])
        written = 4 * width * sum(p.numel() for p in parameters.values())
        found = []
        for x, y in zip(*(t.split(max(1, _VMAP_BUDGET // written)) for t in (batch, labels)), strict=True):
            gradients, outputs = gradients_of_all(parameters, x, y)
            parts = ((name, Full(wide(g).transpose(0, 1))) for name, g in gradients.items())
            found.append(_sketched(outputs, width, sketch, parts))
        outputs, features = (torch.cat(column) for column in zip(*found, strict=True))
        return outputs, features


class Loop(_WholeGradients):
    """Gradients sample by sample with plain backward passes: slow, and right for any model."""

    name = "loop"

    def project(
        self, batch: torch.Tensor, labels: torch.Tensor, linearisation: Linearisation, sketch: Sketch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One forward pass and Q backward passes for each sample."""
        parameters = trainable(self.model)
        found = []
        for x, y in zip(batch.split(1), labels.split(1), strict=True):
            with torch.enable_grad():
                outputs = outputs_of(self.model, x)
                differentiated = linearisation.differentiated(outputs, y).squeeze(0).unbind()
            rows = [_gradients(one, parameters) for one in differentiated]
            parts = (
                (name, Full(torch.stack(columns).unsqueeze(1)))
                for name, columns in zip(parameters, zip(*rows, strict=True), strict=True)
            )
            found.append(_sketched(outputs, len(differentiated), sketch, parts))
        outputs, features = (torch.cat(column) for column in zip(*found, strict=True))
        return outputs, features


class Forward(_WholeGradients):
    """Derivatives along given directions by forward differentiation, which gives those of all outputs at once."""

    name = "forward"

    def __init__(self, model: nn.Module, sample: torch.Tensor) -> None:
        super().__init__(model, sample)
        with suppress(Exception):  # the layers have no rule: as many numbers as there are parameters
            self.numbers_per_sample = Hooks(model, sample).numbers_per_sample

    def project(
        self, batch: torch.Tensor, labels: torch.Tensor, linearisation: Linearisation, sketch: Sketch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One forward pass with a derivative for each direction."""
        if not isinstance(sketch, DirectionsSketch):
            raise TypeError("forward differentiation is along directions")
        parameters = {name: p.detach() for name, p in trainable(self.model).items()}

        def numbers(weights: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
            outputs = checked_outputs(torch.func.functional_call(self.model, weights, (batch,)), len(batch))
            return linearisation.differentiated(outputs, labels), outputs

        found = []
        outputs = batch.new_zeros(())
        with torch.no_grad(), _plain_attention():
            for along in range(sketch.dim):
                tangents = {name: sketch.parts[name][along].reshape(p.shape).to(p) for name, p in parameters.items()}
                (_, outputs), (derivative, _) = torch.func.jvp(numbers, (parameters,), (tangents,))[:2]
                found.append(wide(derivative))
        return outputs.detach(), torch.stack(found, dim=2)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention as written in formulas: its faster ways have no forward derivative."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _gradients(output: torch.Tensor, parameters: dict[str, nn.Parameter]) -> list[torch.Tensor]:
    """Gradients of one number by all parameters, dense and at least in single precision."""
    try:
        found = torch.autograd.grad(output, list(parameters.values()), retain_graph=True, materialize_grads=True)
    except RuntimeError as error:
        raise InputError(
            "model", f"a backward pass that fails: {_one_line(error)}", "outputs that can be differentiated",
            "Look for detach(), no_grad() or changes in place between the parameters and the outputs.",
        ) from error  # fmt: skip
    return [wide(g.to_dense() if g.is_sparse else g) for g in found]


def choose_engine(
    model: nn.Module,
    batch: torch.Tensor,
    labels: torch.Tensor,
    linearisation: Linearisation,
    *,
    along_directions: bool = False,
) -> tuple[Engine, str]:
    """Return the fastest engine that agrees with plain backward passes on a few samples, and why faster ones fail.

    Parameters
    ----------
    model : torch.nn.Module
        In eval mode.
    batch, labels : Tensor
        A few samples, as different as can be had, on the model's device.
    linearisation : Linearisation
        What is differentiated.
    along_directions : bool
        Whether the engine is for a `DirectionsSketch`.

    Raises
    ------
    InputError
        The model's forward pass raises, or what it returns are not outputs of samples.
    """
    shapes = {name: p.shape for name, p in trainable(model).items()}
    sketch: Sketch = Kronecker(64, seed=1).bind(shapes)
    if along_directions:
        d = sum(shape.numel() for shape in shapes.values())
        sketch = DirectionsSketch(shapes, gaussian_rows(1, 3, d))
    loop = Loop(model, batch[:1])
    expected = loop.project(batch, labels, linearisation, sketch)[1]
    half = next(iter(trainable(model).values())).dtype in (torch.bfloat16, torch.float16)
    tolerance = (0.1 if half else 1e-3) * float(expected.abs().max())
    reasons = []
    kinds: tuple[type[Forward | Hooks | Vmap], ...] = (Forward, Hooks, Vmap) if along_directions else (Hooks, Vmap)
    for kind in kinds:
        try:
            engine = kind(model, batch[:1])
            found = engine.project(batch, labels, linearisation, sketch)[1]
        except Unsupported as reason:
            reasons.append(f"{kind.name}: no rule for {reason}")
        except Exception as error:  # torch.func fails in many ways, and a slower engine remains
            reasons.append(f"{kind.name}: {type(error).__name__}: {_one_line(error)}")
        else:
            if torch.allclose(found, expected, rtol=0.0, atol=tolerance, equal_nan=True):
                return engine, "; ".join(reasons)
            reasons.append(f"{kind.name}: not the gradients of plain backward passes")
    return loop, "; ".join(reasons)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch dropout and batch statistics off for a while."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
