"""What a projection does to the gradients of a model's parameters, contribution by contribution.

All randomness comes from the projection's seed, the parameter's name and a block number: equal names and shapes get
the same map, in any order and any batch. Random numbers are drawn on the CPU, so that the map does not depend on
the device.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch

from kernelsm.gradients.contributions import Contribution, Full, Outer, Rows

_BLOCK = 4096
# below this many positions the products of two projections are summed elementwise: faster than tiny matrix products
_FEW_POSITIONS = 8


class Sketch(Protocol):
    """A projection bound to the parameters of one model."""

    dim: int

    def add(self, into: torch.Tensor, parameter: str, contribution: Contribution) -> None:
        """Add the projection of a contribution to `into`, shape (Q, n, dim)."""


class ExactSketch:
    """The identity: parameters lie one after the other."""

    def __init__(self, shapes: Mapping[str, torch.Size]) -> None:
        self.slots: dict[str, slice] = {}
        self.dim = 0
        for name, shape in shapes.items():
            self.slots[name] = slice(self.dim, self.dim + shape.numel())
            self.dim += shape.numel()

    def add(self, into: torch.Tensor, parameter: str, contribution: Contribution) -> None:
        """Add the gradient in the parameter's own slot."""
        into[..., self.slots[parameter]] += _flat(contribution.gradient())


Draw = Callable[[int, int, int], torch.Tensor]


def gaussian_rows(seed: int, count: int, dim: int) -> torch.Tensor:
    """N(0, 1) numbers, shape (count, dim)."""
    return torch.randn((count, dim), generator=torch.Generator().manual_seed(seed))


def rademacher_rows(seed: int, count: int, dim: int) -> torch.Tensor:
    """Signs, shape (count, dim)."""
    raw = np.random.Generator(np.random.Philox(seed)).bytes(-(-count * dim // 8))
    bits = np.unpackbits(np.frombuffer(raw, dtype=np.uint8), count=count * dim)
    return torch.from_numpy(bits).to(torch.float32).mul_(2.0).sub_(1.0).reshape(count, dim)


class DenseSketch:
    """Independent entries, drawn for a block of coordinates whenever that block is needed."""

    def __init__(self, shapes: Mapping[str, torch.Size], dim: int, seed: int, draw: Draw) -> None:
        self.shapes, self.dim, self.seed, self.draw = shapes, dim, seed, draw

    def add(self, into: torch.Tensor, parameter: str, contribution: Contribution) -> None:
        """Materialise the contribution block by block and multiply."""
        rows, width = _as_matrix(self.shapes[parameter])
        if isinstance(contribution, Rows):
            for number, (start, stop) in enumerate(_row_blocks(rows, width)):
                if bool(((contribution.index >= start) & (contribution.index < stop)).any()):
                    part = contribution.of_rows(start, stop).flatten(2)
                    self._add_block(into, parameter, number, part)
            return
        gradient = _flat(contribution.gradient())
        for number, (start, stop) in enumerate(_row_blocks(rows, width)):
            self._add_block(into, parameter, number, gradient[..., start * width : stop * width])

    def _add_block(self, into: torch.Tensor, parameter: str, number: int, part: torch.Tensor) -> None:
        """Add the product with the matrix of one block, which a very wide row cuts into pieces."""
        for piece, start in enumerate(range(0, part.shape[-1], _BLOCK)):
            columns = part[..., start : start + _BLOCK]
            matrix = self.draw(_seed(self.seed, parameter, number, piece), columns.shape[-1], self.dim)
            into += columns @ (matrix / math.sqrt(self.dim)).to(part)


class SparseSketch:
    """Each coordinate is added, with a sign, to a few coordinates of the result."""

    def __init__(self, shapes: Mapping[str, torch.Size], dim: int, seed: int, nonzeros: int) -> None:
        self.dim = dim
        self.matrices = {
            name: _sparse_matrix(_seed(seed, name), shape.numel(), dim, nonzeros) for name, shape in shapes.items()
        }

    def add(self, into: torch.Tensor, parameter: str, contribution: Contribution) -> None:
        """Add the sparse product."""
        gradient = _flat(contribution.gradient())
        flat = gradient.reshape(-1, gradient.shape[-1])
        into += (self.matrices[parameter].to(flat) @ flat.T.contiguous()).T.reshape(into.shape)


class KroneckerSketch:
    """Grids of block x block two-sided projections of each matrix; count sketch for vectors."""

    def __init__(self, shapes: Mapping[str, torch.Size], dim: int, seed: int, block: int) -> None:
        self.dim, self.block, self.grids = dim, block, dim // block**2
        self.vectors = SparseSketch({name: shape for name, shape in shapes.items() if len(shape) < 2}, dim, seed, 1)
        self.sides: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        scale = dim**-0.25  # on either side: together 1/√dim
        for name, shape in shapes.items():
            if len(shape) > 1:
                rows, width = _as_matrix(shape)
                # columns are block major: the grids lie innermost, where products of factors vectorise
                self.sides[name] = (
                    gaussian_rows(_seed(seed, name, "left"), rows, block * self.grids) * scale,
                    gaussian_rows(_seed(seed, name, "right"), width, block * self.grids) * scale,
                )

    def add(self, into: torch.Tensor, parameter: str, contribution: Contribution) -> None:
        """Project both factors, then add their products."""
        if parameter not in self.sides:
            self.vectors.add(into, parameter, contribution)
            return
        example = contribution.value if isinstance(contribution, Full) else contribution.right
        left_side, right_side = (side.to(example) for side in self.sides[parameter])
        if isinstance(contribution, Outer) and not self._cheaper_whole(contribution):
            self._add_products(into, _times(contribution.left, left_side), _times(contribution.right, right_side))
        elif isinstance(contribution, Rows):
            self._add_products(into, left_side[contribution.index][None], _times(contribution.right, right_side))
        else:
            self._add_matrix(into, contribution.gradient(), left_side, right_side)

    def _cheaper_whole(self, outer: Outer) -> bool:
        """Whether it costs less to write the gradient down than to project each position."""
        positions, a, b = outer.left.shape[-2], outer.left.shape[-1], outer.right.shape[-1]
        count = self.grids * self.block
        by_position = positions * (a + b) * count + 8 * positions * self.dim
        return (positions + count) * a * b + self.dim * b < by_position

    def _add_products(self, into: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> None:
        """Add Σ_t left_t ⊗ right_t within each grid, of projections (Q, n, T, block · grids)."""
        grid = (self.block, self.grids)
        left, right = left.unflatten(-1, grid), right.unflatten(-1, grid)
        if left.shape[2] <= _FEW_POSITIONS:
            total = into.unflatten(-1, (self.block, self.block, self.grids))
            for t in range(left.shape[2]):
                total.addcmul_(left[:, :, t, :, None], right[:, :, t, None])
        else:
            into += torch.einsum("qntir,qntjr->qnijr", *torch.broadcast_tensors(left, right)).flatten(2)

    def _add_matrix(
        self, into: torch.Tensor, gradient: torch.Tensor, left: torch.Tensor, right: torch.Tensor
    ) -> None:
        """Add the projection of whole matrices, with the shorter side in the role of the positions."""
        matrix = gradient.reshape(*gradient.shape[:2], len(left), len(right))
        if len(left) <= len(right):
            self._add_products(into, left[None, None], _times(matrix, right))
        else:
            self._add_products(into, _times(matrix.transpose(2, 3), left), right[None, None])


def _flat(gradient: torch.Tensor) -> torch.Tensor:
    """(Q, n, *shape) -> (Q, n, numbers), also where the parameter is a single number."""
    return gradient.reshape(*gradient.shape[:2], -1)


def _times(factor: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
    """Project a factor (Q, n, T, a) by one matrix product, however its axes lie in memory."""
    return (factor.reshape(-1, len(side)) @ side).reshape(*factor.shape[:-1], side.shape[1])


def _as_matrix(shape: torch.Size) -> tuple[int, int]:
    """Rows and width of a parameter seen as a matrix; a vector is a column."""
    rows = shape[0] if len(shape) else 1
    return rows, shape.numel() // max(rows, 1)


def _row_blocks(rows: int, width: int) -> Iterator[tuple[int, int]]:
    """Blocks of whole rows, about `_BLOCK` coordinates each."""
    step = max(1, _BLOCK // max(width, 1))
    for start in range(0, rows, step):
        yield start, min(start + step, rows)


def _sparse_matrix(seed: int, d: int, dim: int, nonzeros: int) -> torch.Tensor:
    """Sparse matrix (dim, d), CSR: `nonzeros` entries ±1/√nonzeros in each column, one in each of as many bands."""
    rng = np.random.Generator(np.random.Philox(seed))
    edges = np.linspace(0, dim, nonzeros + 1).astype(np.int64)  # bands keep the rows of a column apart
    rows = np.concatenate([rng.integers(low, high, d) for low, high in pairwise(edges)])
    signs = (rng.integers(0, 2, nonzeros * d) * 2 - 1).astype(np.float32) / math.sqrt(nonzeros)
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.bincount(rows, minlength=dim).cumsum()])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta", category=UserWarning)
        return torch.sparse_csr_tensor(
            torch.from_numpy(starts), torch.from_numpy(order % d), torch.from_numpy(signs[order]), (dim, d),
            check_invariants=False,
        )  # fmt: skip


def _seed(*parts: object) -> int:
    """A 63-bit seed from anything that prints."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()) >> 1
