"""Coordinates along given directions of weight space, instead of random ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch

from kernelsm.gradients.contributions import Contribution, Full, Outer, Rows
from kernelsm.gradients.projections import Projection
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import content_hash

# bytes that the products of a few samples may take before they are summed
_AT_ONCE = 2**26


class Directions(Projection):
    """Inner products of a gradient with k directions: exact for what lies in their span, if they are orthonormal.

    Parameters
    ----------
    matrix : Tensor, shape (k, d)
        One direction a row; the d numbers of the parameters that require a gradient lie one after the other, in the
        order of `model.named_parameters()`.
    kind : str
        What the directions are, for titles and metadata.
    """

    from_factors: ClassVar[bool] = True

    def __init__(self, matrix: torch.Tensor, kind: str = "given") -> None:
        self.matrix, self.kind = matrix, kind

    def __repr__(self) -> str:
        """Name the directions by their content: it says which features belong together."""
        return f"Directions({len(self.matrix)}, {content_hash(self.matrix.cpu().numpy())})"

    @property
    def name(self) -> str:
        """What the map is."""
        return f"{self.kind}, {len(self.matrix)} dimensions"

    def bind(self, shapes: Mapping[str, torch.Size]) -> DirectionsSketch:
        """Return the map for these parameters.

        Raises
        ------
        InputError
            The directions have another number of coordinates than the parameters.
        """
        d = sum(shape.numel() for shape in shapes.values())
        if self.matrix.shape[1] != d:
            found, fix = f"{self.matrix.shape[1]:,} coordinates", "Use the directions of this model."
            raise InputError("directions", found, f"{d:,}, one for each parameter of the model", fix)
        return DirectionsSketch(shapes, self.matrix)


class DirectionsSketch:
    """Products of contributions with each parameter's part of the directions, by factors where that is less work."""

    def __init__(self, shapes: Mapping[str, torch.Size], matrix: torch.Tensor) -> None:
        self.dim = len(matrix)
        parts = matrix.split([shape.numel() for shape in shapes.values()], dim=1)
        self.parts = {
            name: part.reshape(self.dim, shape[0] if len(shape) else 1, -1)
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }

    def add(self, into: torch.Tensor, parameter: str, contribution: Contribution) -> None:
        """Add the products to `into`, shape (Q, n, k)."""
        part = self.parts[parameter].to(into)
        contribution = _for_each(contribution, into.shape[1])
        if isinstance(contribution, Rows):
            self._add_rows(into, part, contribution)
        elif isinstance(contribution, Outer) and (shared := _shared_side(contribution, len(into), self.dim)):
            varying = contribution.left if shared == "right" else contribution.right
            common = contribution.right if shared == "right" else contribution.left
            axes = (2, 1, 0) if shared == "right" else (1, 2, 0)  # the shared factor's axis comes first
            self._add_outer(into, part.permute(axes), varying, common[0])
        else:
            self._add_whole(into, part.flatten(1), contribution)

    def _add_outer(self, into: torch.Tensor, part: torch.Tensor, varying: torch.Tensor, common: torch.Tensor) -> None:
        """Add Σ_t varying_tᵀ part common_t, of part (b, a, k), varying (Q, n, T, a) and common (n, T, b)."""
        n, positions, _ = common.shape
        flat = part.flatten(1)
        for samples in _few(n, positions * flat.shape[1]):
            seen = common[samples].to(flat).flatten(0, 1) @ flat  # (n · T, a · k)
            factors = varying[:, samples].to(flat).transpose(0, 1).flatten(2)  # (n, Q, T · a)
            into[:, samples] += torch.bmm(factors, seen.reshape(len(factors), -1, self.dim)).transpose(0, 1)

    def _add_rows(self, into: torch.Tensor, part: torch.Tensor, read: Rows) -> None:
        """The rows of the directions that were read, times the gradients of what was read."""
        table = part.permute(1, 2, 0)  # (count, b, k)
        for samples in _few(len(read.index), read.index.shape[1] * table[0].numel()):
            seen = table[read.index[samples]].flatten(1, 2)  # (n, T · b, k)
            factors = read.right[:, samples].to(seen).transpose(0, 1).flatten(2)
            into[:, samples] += torch.bmm(factors, seen).transpose(0, 1)

    def _add_whole(self, into: torch.Tensor, part: torch.Tensor, contribution: Contribution) -> None:
        """Write the gradient down, a few samples at a time, and multiply."""
        outputs = len(into)
        for samples in _few(into.shape[1], outputs * part.shape[1]):
            gradient = _of_samples(contribution, samples).gradient()
            into[:, samples] += gradient.reshape(*gradient.shape[:2], -1).to(part) @ part.T


def _for_each(contribution: Contribution, n: int) -> Contribution:
    """The same with an axis of n samples, also in what they share."""
    if isinstance(contribution, Rows):
        return Rows(contribution.index.expand(n, -1), _expanded(contribution.right, n), contribution.count)
    if isinstance(contribution, Outer):
        return Outer(_expanded(contribution.left, n), _expanded(contribution.right, n))
    return Full(_expanded(contribution.value, n))


def _expanded(factor: torch.Tensor, n: int) -> torch.Tensor:
    return factor.expand(-1, n, *[-1] * (factor.dim() - 2))


def _shared_side(outer: Outer, outputs: int, k: int) -> str:
    """The factor that all Q outputs share, if multiplying by it first is less work than writing gradients down."""
    positions, a, b = outer.left.shape[-2], outer.left.shape[-1], outer.right.shape[-1]
    whole = outputs * a * b * (positions + k)
    for side, factor, other in (("right", outer.right, a), ("left", outer.left, b)):
        if len(factor) == 1 and positions * k * (a * b + outputs * other) < whole:
            return side
    return ""


def _of_samples(contribution: Contribution, samples: slice) -> Contribution:
    if isinstance(contribution, Outer):
        return Outer(contribution.left[:, samples], contribution.right[:, samples])
    if isinstance(contribution, Rows):
        return Rows(contribution.index[samples], contribution.right[:, samples], contribution.count)
    return Full(contribution.value[:, samples])


def _few(n: int, numbers: int) -> list[slice]:
    """Slices of as many of n samples as `_AT_ONCE` bytes hold, with so many numbers each."""
    step = max(1, _AT_ONCE // (4 * max(numbers, 1)))
    return [slice(start, start + step) for start in range(0, n, step)]
