"""Linear maps R^d -> R^k for gradients: the identity (exact) and a seeded Gaussian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

_BLOCK = 4096


class Projection(Protocol):
    """A linear map of gradients; two objects with equal fields are the same map."""

    @property
    def name(self) -> str:
        """What the map is, for titles and metadata."""

    def apply(self, gradients: torch.Tensor) -> torch.Tensor:
        """Map the last axis, (..., d) -> (..., k)."""


@dataclass(frozen=True)
class Exact:
    """All d coordinates, unchanged: GradEx then solves the linearised problem itself."""

    @property
    def name(self) -> str:
        """What the map is."""
        return "exact basis"

    def apply(self, gradients: torch.Tensor) -> torch.Tensor:
        """Return the gradients as they are."""
        return gradients


@dataclass(frozen=True)
class Gaussian:
    """Independent N(0, 1/dim) entries: keeps inner products in expectation (Johnson-Lindenstrauss).

    The matrix is never stored: blocks of its rows are drawn again from `seed` at each call.

    Parameters
    ----------
    dim : int
        k, the dimension after projection.
    seed : int
        Equal seeds give the equal map, whatever the batch.
    """

    dim: int = 512
    seed: int = 0

    @property
    def name(self) -> str:
        """What the map is."""
        return f"Gaussian, {self.dim} dimensions"

    def apply(self, gradients: torch.Tensor) -> torch.Tensor:
        """Project the last axis to `dim` dimensions."""
        d = gradients.shape[-1]
        projected = gradients.new_zeros((*gradients.shape[:-1], self.dim))
        generator = torch.Generator().manual_seed(self.seed)
        for start in range(0, d, _BLOCK):
            rows = torch.randn((min(_BLOCK, d - start), self.dim), generator=generator, dtype=torch.float32)
            projected += gradients[..., start : start + _BLOCK] @ (rows / self.dim**0.5).to(gradients)
        return projected
