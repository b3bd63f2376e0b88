"""What one use of a parameter adds to its per-sample gradients, kept factored where it is a product.

Leading axes are (Q, n): Q differentiated outputs, n samples. An axis of length 1 stands for all Q.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Outer:
    """Gradient Σ_t left_t right_tᵀ of a matrix: of a linear layer with T positions, or a convolution with T patches.

    Parameters
    ----------
    left : Tensor, shape (Q or 1, n, T, a)
    right : Tensor, shape (Q or 1, n, T, b)
    """

    left: torch.Tensor
    right: torch.Tensor

    def gradient(self) -> torch.Tensor:
        """Materialised, shape (Q, n, a, b)."""
        return self.left.transpose(-1, -2) @ self.right


@dataclass(frozen=True)
class Rows:
    """Gradient of a table whose row index_t was read at position t, such as an embedding.

    Parameters
    ----------
    index : Tensor of int64, shape (n, T)
    right : Tensor, shape (Q, n, T, b)
    count : int
        Rows of the table.
    """

    index: torch.Tensor
    right: torch.Tensor
    count: int

    def gradient(self) -> torch.Tensor:
        """Materialised, shape (Q, n, count, b)."""
        return self.of_rows(0, self.count)

    def of_rows(self, start: int, stop: int) -> torch.Tensor:
        """Materialised for rows start..stop alone, shape (Q, n, stop - start, b)."""
        inside = (self.index >= start) & (self.index < stop)
        right = self.right * inside[..., None]
        positions = (self.index - start).clamp(0, stop - start - 1)[None, ..., None].expand(right.shape)
        return right.new_zeros((*right.shape[:2], stop - start, right.shape[-1])).scatter_add_(2, positions, right)


@dataclass(frozen=True)
class Full:
    """A gradient that is not factored, shape (Q, n, *shape of the parameter)."""

    value: torch.Tensor

    def gradient(self) -> torch.Tensor:
        """Return it."""
        return self.value


Contribution = Outer | Rows | Full
