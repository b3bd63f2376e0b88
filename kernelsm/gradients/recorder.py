"""Records, during one forward pass, how each parameter was used.

That is enough for all per-sample gradients after one backward pass per output, without vmap.

A parameter's gradient in a layer is a product of what went into the layer and the gradient of what came out. The
recorder hooks the functions that layers call (linear, convolution, embedding, norms, ...) rather than the layer
classes, so a model's own modules, shared weights and functional code are seen too. Anything else that touches a
parameter raises `Unsupported`, and another way is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from kernelsm.gradients.contributions import Contribution
from kernelsm.gradients.layer_rules import RULES, Use
from kernelsm.gradients.sample_axes import Axis, SampleAxes, Unsupported

Axes = list[tuple[Axis, Axis]]
_VALUES = {
    torch.Tensor.item, torch.Tensor.tolist, torch.Tensor.__bool__, torch.Tensor.__float__, torch.Tensor.__int__,
}  # fmt: skip


@dataclass
class Call:
    """One use of parameters: the rule's account, shapes of input and output, and what to differentiate by."""

    use: Use
    name: str
    input_shape: torch.Size
    output_shape: torch.Size
    version: int
    edge: Any = None


class Recorder(TorchFunctionMode):
    """Watches one forward pass.

    Parameters
    ----------
    names : dict
        id(parameter) -> name, of the parameters that matter.
    samples : int
        n of this pass.
    axes : list of (Axis, Axis)
        Of the input and output of each call as far as known; see `trace`.
    """

    def __init__(self, names: dict[int, str], samples: int, axes: Axes) -> None:
        super().__init__()
        self.names, self.samples, self.axes = names, samples, axes
        self.calls: list[Call] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run a torch function; note it where it uses a parameter."""
        kwargs = kwargs or {}
        if func in _VALUES and args[0].is_floating_point():
            raise Unsupported("control flow by values")  # a batch would take one way for all its samples
        used = self._used((*args, *kwargs.values()))
        if not used:
            return func(*args, **kwargs)
        if func is functional.multi_head_attention_forward:
            return self._attention(*args, **kwargs)
        rule = RULES.get(func)
        name = getattr(func, "__name__", str(func))
        if rule is not None:
            use = rule(*args, **kwargs)
            if used <= {id(parameter) for parameter in use.parameters}:
                return self._note(use, name, func(*args, **kwargs))
        else:
            out = func(*args, **kwargs)
            if _harmless(out, args):
                return out
        raise Unsupported(f"{name} of {', '.join(sorted(self.names[key] for key in used))}")

    def _used(self, values: Any) -> set[int]:
        found = set()
        for value in values:
            if isinstance(value, list | tuple):
                found |= self._used(value)
            elif id(value) in self.names:
                found.add(id(value))
        return found

    def _note(self, use: Use, name: str, out: torch.Tensor) -> torch.Tensor:
        input_shape = use.input.shape if use.input is not None else torch.Size()
        version = use.input._version if use.input is not None else 0
        call = Call(use, name, input_shape, out.shape, version)
        number = len(self.calls)
        if number < len(self.axes) and self.axes[number][1].dim is None:
            # one for all samples, as position embeddings are: each sample gets its own to differentiate by
            alone = out.shape[1:] if out.dim() > 1 and out.shape[0] == 1 else out.shape
            out = out.expand(self.samples, *alone)
        if out.requires_grad:
            # not the tensor: an activation in place would make it another one
            call.edge = torch.autograd.graph.get_gradient_edge(out)
        self.calls.append(call)
        return out

    def _attention(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, width: int, heads: int,
        in_weight: torch.Tensor | None, in_bias: torch.Tensor | None, bias_k: torch.Tensor | None,
        bias_v: torch.Tensor | None, add_zero_attn: bool, dropout: float, out_weight: torch.Tensor,
        out_bias: torch.Tensor | None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """Attention of torch.nn: its projections are made here, where they are seen, and it gets identities."""
        if not (query is key and key is value) or in_weight is None or bias_k is not None or bias_v is not None:
            raise Unsupported("attention across two inputs")
        with self:
            packed = functional.linear(query, in_weight, in_bias)
        q, k, v = packed.chunk(3, dim=-1)
        same = torch.eye(width, dtype=packed.dtype, device=packed.device)
        mixed, weights = functional.multi_head_attention_forward(
            q, k, v, width, heads, None, None, None, None, add_zero_attn, dropout, same, None,
            **{**kwargs, "use_separate_proj_weight": True, "q_proj_weight": same, "k_proj_weight": same,
               "v_proj_weight": same},
        )  # fmt: skip
        with self:
            return functional.linear(mixed, out_weight, out_bias), weights

    def edges(self) -> list[Any]:
        """What to differentiate by: the outputs of the calls that lead to the model's output."""
        return [call.edge for call in self.calls if call.edge is not None]

    def contributions(self, gradients: list[torch.Tensor | None]) -> Iterator[tuple[str, Contribution]]:
        """Yield what each call adds, given the gradients (Q, *output shape) by `edges`, in order; None is zero."""
        if len(self.calls) != len(self.axes):
            raise Unsupported("a forward pass that differs from batch to batch")
        following = iter(gradients)
        for call, (of_input, of_output) in zip(self.calls, self.axes, strict=True):
            if call.edge is None:
                continue
            if call.use.input is not None and call.use.input._version != call.version:
                raise Unsupported(f"an input of {call.name} that is changed in place afterwards")
            gradient = next(following)
            if gradient is None:
                continue
            axes = SampleAxes(self.samples, of_input, of_output if of_output.dim is not None else Axis(0))
            for parameter, contribution in call.use.contributions(gradient, axes):
                if id(parameter) in self.names:
                    yield self.names[id(parameter)], contribution


def trace(
    forward: Callable[[torch.Tensor], torch.Tensor], names: dict[int, str], sample: torch.Tensor
) -> tuple[Axes, int]:
    """Find out where the samples are in each call, by passing two and three copies of one sample, shape (1, ...).

    Returns
    -------
    axes : list of (Axis, Axis)
        Of the input and output of each call.
    numbers : int
        Numbers that go into and come out of all calls for one sample.

    Raises
    ------
    Unsupported
        The model uses a parameter in a way without a rule, or mixes samples.
    """
    axes: Axes = []
    while True:
        passes = []
        for count in (2, 3):
            with Recorder(names, count, axes) as recorder:
                forward(sample.expand(count, *sample.shape[1:]).clone())
            passes.append(recorder.calls)
        if len(passes[0]) != len(passes[1]):
            raise Unsupported("a forward pass that depends on the number of samples")
        found = [
            (
                Axis.between(two.input_shape, three.input_shape),
                Axis.between(two.output_shape, three.output_shape),
            )
            for two, three in zip(*passes, strict=True)
        ]
        if found == axes:
            return axes, sum(call.input_shape.numel() + call.output_shape.numel() for call in passes[0]) // 2
        axes = found  # what is one for all samples is spread over them from here on, and later calls see that


def _harmless(out: Any, args: Any) -> bool:
    """Whether a function only asked a parameter about itself, or returned it unchanged."""
    parts = out if isinstance(out, list | tuple) else (out,)
    return not any(isinstance(part, torch.Tensor) for part in parts) or any(out is value for value in args)
