"""H x = b for many right-hand sides at once, where only products with H, or H itself, are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from kernelsm.runtime.progress import Report, silent

Product = Callable[[torch.Tensor], torch.Tensor]
"""Maps rows (r, d) to their products with a symmetric matrix."""


@dataclass(frozen=True)
class Solved:
    """Solutions (r, d), how many products it took, and the largest relative residual ‖b - Hx‖ / ‖b‖ that is left."""

    x: torch.Tensor
    products: int
    residual: float


def solve_dense(matrix: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Solve by Cholesky factors; `matrix` (d, d) has no eigenvalue below 0 but for rounding, which is lifted."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    if int(info):
        values, vectors = torch.linalg.eigh(matrix)
        floor = values.max() * torch.finfo(matrix.dtype).eps
        return torch.mm((b @ vectors) / values.clamp(min=floor), vectors.T)
    return torch.cholesky_solve(b.T, factor).T


def conjugate_gradients(
    product: Product, b: torch.Tensor, *, tolerance: float = 1e-6, most: int = 1000, report: Report = silent
) -> Solved:
    """Solve by conjugate gradients, all right-hand sides (r, d) side by side.

    Parameters
    ----------
    product : callable
    b : Tensor, shape (r, d)
    tolerance : float
        Relative residual at which a right-hand side is solved.
    most : int
        Bound on the products.
    report : Report
        Told of each product; how many are needed is not known before.
    """
    x, residual = torch.zeros_like(b), b.clone()
    direction, size = residual.clone(), residual.square().sum(dim=1)
    goal = tolerance**2 * size.clamp(min=torch.finfo(b.dtype).tiny)
    products = 0
    while products < most and bool((size > goal).any()):
        moved = product(direction)
        curvature = (direction * moved).sum(dim=1)
        step = torch.where((size > goal) & (curvature > 0), size / curvature.clamp(min=1e-300), 0.0)
        x += step[:, None] * direction
        residual -= step[:, None] * moved
        now = residual.square().sum(dim=1)
        direction = residual + (now / size.clamp(min=torch.finfo(b.dtype).tiny))[:, None] * direction
        size = now
        products += 1
        report(products, most, "conjugate gradients", reused=None)
    return Solved(x, products, float((size / b.square().sum(dim=1).clamp(min=1e-300)).max().sqrt()))


def neumann_series(
    product: Product, b: torch.Tensor, *, scale: float, terms: int = 1000, report: Report = silent
) -> Solved:
    """Sum the first terms of H⁻¹ = Σ_j (1 - H/scale)^j / scale: the recursion of LiSSA on all samples.

    Parameters
    ----------
    product : callable
    b : Tensor, shape (r, d)
    scale : float
        At least the largest eigenvalue of H, or the series grows without bound.
    terms : int
    report : Report
        Told of each term.

    References
    ----------
    Agarwal, Bullins and Hazan (2017), Second-order stochastic optimization for machine learning in linear time.
    """
    x = b / scale
    for term in range(1, terms):
        x = x + (b - product(x)) / scale
        report(term + 1, terms, "Neumann series", reused=None)
    left = (b - product(x)).square().sum(dim=1) / b.square().sum(dim=1).clamp(min=1e-300)
    return Solved(x, terms, float(left.max().sqrt()))


def largest_eigenvalue(product: Product, like: torch.Tensor, *, steps: int = 50) -> float:
    """Largest eigenvalue by power iteration from a fixed random vector; a little below it, never above.

    Parameters
    ----------
    product : callable
    like : Tensor, shape (d,)
        Its type and length are taken.
    steps : int
    """
    start = torch.randn(1, len(like), generator=torch.Generator().manual_seed(0), dtype=torch.double)
    vector, found = start.to(like) / start.norm().to(like), 0.0
    for _ in range(steps):
        moved = product(vector)
        found = float(moved.norm())
        if not found > 0:
            return 0.0
        vector = moved / found
    return found
