"""Where the samples of a batch are in a layer's tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch


class Unsupported(Exception):  # noqa: N818 - not a fault: another way to the gradients is taken
    """A use of a parameter that the layer rules do not cover; the message says which."""


@dataclass(frozen=True)
class Axis:
    """Axis `dim` holds the samples, `each` entries for each of them; None: one tensor serves all samples."""

    dim: int | None
    each: int = 1

    @classmethod
    def between(cls, of_two: torch.Size, of_three: torch.Size) -> Axis:
        """Read off the shapes of one tensor with two and with three samples.

        Raises
        ------
        Unsupported
            More than one axis grows, or one grows unevenly.
        """
        grown = [i for i, (two, three) in enumerate(zip(of_two, of_three, strict=False)) if two != three]
        if not grown and len(of_two) == len(of_three):
            return cls(None)
        if len(grown) != 1 or len(of_two) != len(of_three) or of_two[grown[0]] * 3 != of_three[grown[0]] * 2:
            raise Unsupported("a tensor that mixes samples")
        return cls(grown[0], of_two[grown[0]] // 2)


@dataclass(frozen=True)
class SampleAxes:
    """Which axes hold the n samples in the input and in the output of one call."""

    samples: int
    of_input: Axis
    of_output: Axis

    def input(self, tensor: torch.Tensor) -> torch.Tensor:
        """Bring the samples of an input to the front, (n or 1, each, ...)."""
        return _to_front(tensor, self.of_input, self.samples, 0)

    def output(self, gradients: torch.Tensor) -> torch.Tensor:
        """Bring the samples of gradients (Q, *output shape) behind Q, (Q, n, each, ...)."""
        return _to_front(gradients, self.of_output, self.samples, 1)


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """At least single precision: products of half-precision factors are summed in it."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def _to_front(tensor: torch.Tensor, axis: Axis, samples: int, lead: int) -> torch.Tensor:
    tensor = wide(tensor)
    if axis.dim is None:
        return tensor.unsqueeze(lead).unsqueeze(lead)
    front = tensor.movedim(axis.dim + lead, lead)
    return front.reshape(*front.shape[:lead], samples, axis.each, *front.shape[lead + 1 :])
