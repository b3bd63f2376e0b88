"""For each function that layers call: the per-sample gradients of its parameters.

They follow from what went in and from the gradient of what came out. A rule takes the function's own arguments and
returns a `Use`. Functions without a rule are `Unsupported`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from kernelsm.gradients.contributions import Contribution, Full, Outer, Rows
from kernelsm.gradients.sample_axes import SampleAxes, Unsupported, wide

Found = Iterator[tuple[torch.Tensor, Contribution]]


@dataclass(frozen=True)
class Use:
    """One use of parameters.

    Parameters
    ----------
    input : Tensor, optional
        What went in besides the parameters, if it matters where the samples are in it.
    parameters : sequence of Tensor
        The tensors whose gradients `contributions` gives.
    contributions : callable
        (gradients of the output (Q, *shape), where the samples are) -> pairs of parameter and contribution.
    """

    input: torch.Tensor | None
    parameters: Sequence[torch.Tensor | None]
    contributions: Callable[[torch.Tensor, SampleAxes], Found]


def _linear(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Use:
    def contributions(gradients: torch.Tensor, where: SampleAxes) -> Found:
        out = where.output(gradients).flatten(2, -2)
        yield weight, Outer(out, where.input(input).flatten(1, -2)[None])
        if bias is not None:
            yield bias, Full(out.sum(dim=2))

    return Use(input, (weight, bias), contributions)


def _matmul(input: torch.Tensor, other: torch.Tensor) -> Use:
    if other.dim() != 2:
        raise Unsupported("a product with a parameter that is not a matrix")

    def contributions(gradients: torch.Tensor, where: SampleAxes) -> Found:
        yield other, Outer(where.input(input).flatten(1, -2)[None], where.output(gradients).flatten(2, -2))

    return Use(input, (other,), contributions)


def _addmm(bias: torch.Tensor, mat1: torch.Tensor, mat2: torch.Tensor, *, beta: float = 1, alpha: float = 1) -> Use:
    if beta != 1 or alpha != 1 or bias.dim() != 1:
        raise Unsupported("a scaled addmm")
    product = _matmul(mat1, mat2)

    def contributions(gradients: torch.Tensor, where: SampleAxes) -> Found:
        yield from product.contributions(gradients, where)
        yield bias, Full(where.output(gradients).flatten(2, -2).sum(dim=2))

    return Use(mat1, (mat2, bias), contributions)


def _embedding(
    input: torch.Tensor, weight: torch.Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Use:  # fmt: skip
    if max_norm is not None or scale_grad_by_freq:
        raise Unsupported("an embedding with max_norm or scale_grad_by_freq")

    def contributions(gradients: torch.Tensor, where: SampleAxes) -> Found:
        index = where.input(input).flatten(1)
        out = where.output(gradients).flatten(2, -2)
        if padding_idx is not None:
            out = out * (index != padding_idx % len(weight))[None, ..., None]
        yield weight, Rows(index, out, len(weight))

    return Use(input, (weight,), contributions)


def _convolution(axes: int) -> Callable[..., Use]:
    def rule(
        input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, stride: Any = 1,
        padding: Any = 0, dilation: Any = 1, groups: int = 1,
    ) -> Use:  # fmt: skip
        if input.dim() != axes + 2:
            raise Unsupported("a convolution without an axis of samples")
        kernel = (1,) * (2 - axes) + tuple(weight.shape[2:])
        steps, spread = _pair(stride, axes, 1), _pair(dilation, axes, 1)

        def contributions(gradients: torch.Tensor, where: SampleAxes) -> Found:
            if where.of_input.dim != 0 or where.of_output.dim != 0:
                raise Unsupported("a convolution whose samples are not on the first axis")
            samples, each = where.samples, where.of_input.each
            image = wide(input if axes == 2 else input.unsqueeze(2))
            patches = functional.unfold(*_padded(image, padding, kernel, spread, axes), spread, 0, steps)
            patches = patches.unflatten(0, (samples, each))  # (n, each, channels x kernel, L)
            out = where.output(gradients).flatten(4)  # (Q, n, each, out channels, L)
            if groups == 1:
                yield weight, Outer(out.transpose(3, 4).flatten(2, 3), patches.transpose(2, 3).flatten(1, 2)[None])
            else:
                grouped = torch.einsum(
                    "qnegol,negcl->qngoc", out.unflatten(3, (groups, -1)), patches.unflatten(2, (groups, -1))
                )
                yield weight, Full(grouped.reshape(*out.shape[:2], *weight.shape))
            if bias is not None:
                yield bias, Full(out.sum(dim=(2, 4)))

        return Use(input, (weight, bias), contributions)

    return rule


def _pair(value: Any, axes: int, missing: int) -> tuple[int, int]:
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) == 1 and axes == 2:
        values *= 2
    first, second = ((missing,) * (2 - axes) + values)[-2:]
    return first, second


def _padded(
    image: torch.Tensor, padding: Any, kernel: tuple[int, ...], spread: tuple[int, int], axes: int
) -> tuple[torch.Tensor, tuple[int, ...]]:
    """Image with its padding written out, and the kernel."""
    if padding == "valid":
        padding = 0
    if padding == "same":
        wanted = [s * (k - 1) for s, k in zip(spread, kernel, strict=True)]
        (top, left), (height, width) = (w // 2 for w in wanted), wanted
        return functional.pad(image, (left, width - left, top, height - top)), kernel
    top, left = _pair(padding, axes, 0)
    return functional.pad(image, (left, left, top, top)), kernel


def _norm(
    standard: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, source: torch.Tensor, shape: int
) -> Use:
    """Scale and shift over the last `shape` axes: y = standard * weight + bias."""

    def contributions(gradients: torch.Tensor, where: SampleAxes) -> Found:
        out = where.output(gradients).flatten(2, -shape - 1)
        if weight is not None:
            yield weight, Full((out * where.input(standard).flatten(1, -shape - 1)).sum(dim=2))
        if bias is not None:
            yield bias, Full(out.sum(dim=2))

    return Use(source, (weight, bias), contributions)


def _layer_norm(
    input: torch.Tensor, normalized_shape: Any, weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None, eps: float = 1e-5,
) -> Use:  # fmt: skip
    standard = functional.layer_norm(input.detach(), normalized_shape, None, None, eps)
    return _norm(standard, weight, bias, input, len(normalized_shape))


def _rms_norm(
    input: torch.Tensor, normalized_shape: Any, weight: torch.Tensor | None = None, eps: float | None = None
) -> Use:  # fmt: skip
    standard = functional.rms_norm(input.detach(), list(normalized_shape), None, eps)
    return _norm(standard, weight, None, input, len(normalized_shape))


def _batch_norm(
    input: torch.Tensor, running_mean: torch.Tensor | None, running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None, bias: torch.Tensor | None = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Use:  # fmt: skip
    if training:
        raise Unsupported("a batch norm that uses the batch's own mean")
    standard = functional.batch_norm(input.detach(), running_mean, running_var, None, None, False, momentum, eps)
    return _channels(standard, weight, bias, input)


def _group_norm(
    input: torch.Tensor, num_groups: int, weight: torch.Tensor | None = None, bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> Use:  # fmt: skip
    return _channels(functional.group_norm(input.detach(), num_groups, None, None, eps), weight, bias, input)


def _channels(
    standard: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, source: torch.Tensor
) -> Use:
    """Scale and shift channel by channel (axis 1)."""
    last = _norm(standard.movedim(1, -1), weight, bias, source, 1)

    def contributions(gradients: torch.Tensor, where: SampleAxes) -> Found:
        if where.of_input.dim != 0 or where.of_output.dim != 0:
            raise Unsupported("a norm over channels whose samples are not on the first axis")
        yield from last.contributions(gradients.movedim(2, -1), where)

    return Use(source, last.parameters, contributions)


def _multiply(input: torch.Tensor, other: Any) -> Use:
    parameter, factor = (input, other) if isinstance(input, nn.Parameter) else (other, input)

    def contributions(gradients: torch.Tensor, where: SampleAxes) -> Found:
        yield parameter, Full(_reduced(wide(gradients) * factor, parameter.shape, where))

    return Use(None, (parameter,), contributions)


def _add(input: torch.Tensor, other: Any, *, alpha: float = 1) -> Use:
    if alpha != 1:
        raise Unsupported("a scaled sum")
    return _spread(input if isinstance(input, nn.Parameter) else other)


def _spread(input: torch.Tensor, *sizes: Any, **named: Any) -> Use:
    """The parameter itself, repeated along axes that it does not have."""

    def contributions(gradients: torch.Tensor, where: SampleAxes) -> Found:
        yield input, Full(_reduced(wide(gradients), input.shape, where))

    return Use(None, (input,), contributions)


def _reduced(gradients: torch.Tensor, shape: torch.Size, where: SampleAxes) -> torch.Tensor:
    """Sum (Q, *output shape) over the axes along which a parameter was repeated, to (Q, n, *shape)."""
    axis = where.of_output.dim
    if axis is None or where.of_output.each != 1:
        raise Unsupported("a parameter spread over samples and positions at once")
    missing = gradients.dim() - 1 - len(shape)
    sums = []
    for i, size in enumerate(gradients.shape[1:]):
        repeated = i < missing or (shape[i - missing] == 1 and size != 1)
        if i == axis and not repeated and size != 1:
            raise Unsupported("a parameter with an axis of samples")
        if repeated and i != axis:
            sums.append(i + 1)
    kept = gradients.sum(dim=sums, keepdim=True) if sums else gradients
    return kept.movedim(axis + 1, 1).reshape(len(gradients), where.samples, *shape)


RULES: dict[Any, Callable[..., Use]] = {
    functional.linear: _linear,
    torch.addmm: _addmm,
    torch.Tensor.addmm: _addmm,
    functional.embedding: _embedding,
    functional.conv1d: _convolution(1),
    functional.conv2d: _convolution(2),
    functional.layer_norm: _layer_norm,
    functional.rms_norm: _rms_norm,
    functional.batch_norm: _batch_norm,
    functional.group_norm: _group_norm,
    torch.Tensor.expand: _spread,
    **dict.fromkeys((torch.matmul, torch.mm, torch.Tensor.matmul, torch.Tensor.mm, torch.Tensor.__matmul__), _matmul),
    **dict.fromkeys((torch.mul, torch.Tensor.mul, torch.Tensor.__mul__, torch.Tensor.__rmul__), _multiply),
    **dict.fromkeys((torch.add, torch.Tensor.add, torch.Tensor.__add__, torch.Tensor.__radd__), _add),
}
