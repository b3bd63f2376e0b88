"""GradEx of a squared loss: ridge regression of every subset in closed form.

For shares α_t of the tasks the minimum over Z of

    Σ_t α_t · mean over the samples i of task t of c/2 ‖u_i + G_i Z - t_i‖²  +  λ/2 ‖Z‖²

solves (Σ_t α_t A_t + λI) Z = Σ_t α_t b_t, where A_t = c/n_t Σ_i G_iᵀ G_i and b_t = c/n_t Σ_i G_iᵀ (t_i - u_i) are
made once for each task. Every solution is a sum of the rows of G, so that it is found in an orthonormal basis of
these, which has no more directions than there are rows or coordinates. Everything is done in double precision.
"""

from __future__ import annotations

import torch

from kernelsm.estimators.gradex_solver import Solution
from kernelsm.runtime.errors import ConvergenceError

MATRICES_BUDGET = 2**29
"""Bytes that the matrices of all tasks may take."""
MOST_DIRECTIONS = 1536
"""Directions up to which the factorisation of one matrix for each subset is quicker than steps that need none."""
# bytes of the matrices that are factorised together
_TOGETHER = 2**26
# directions whose share of the rows' squares is below this are rounding of single precision
_ROUNDING = 1e-13


def fits(shape: tuple[int, ...], tasks: int) -> bool:
    """Whether features of shape (n, R, k) in so many tasks are few enough to be solved in closed form."""
    n, width, k = shape
    directions = min(n * width, k)
    return directions <= MOST_DIRECTIONS and 8 * tasks * directions**2 <= MATRICES_BUDGET


class RidgeProblem:
    """The matrices of all tasks, from which those of each subset are added up.

    Parameters
    ----------
    curvature : float
        c, the second derivative of the loss by an output.
    offsets : Tensor, shape (n, R)
        u at Z = 0.
    features : Tensor, shape (n, R, k)
        Their gradients G.
    targets : Tensor, shape (n, R)
        What the squared loss compares the outputs with.
    task_of : Tensor of int64, shape (n,)
        Task of each sample, 0..K-1; every task has a sample.
    ridge : float
        λ > 0.

    Examples
    --------
    >>> import torch
    >>> from kernelsm.estimators.gradex_ridge import RidgeProblem
    >>> one_sample_each = torch.tensor([0, 1])
    >>> problem = RidgeProblem(
    ...     2.0, torch.zeros(2, 1), torch.ones(2, 1, 1), torch.tensor([[1.0], [3.0]]), one_sample_each, ridge=2.0
    ... )
    >>> problem.solve(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.0, 0.0]])).z.T
    tensor([[0.5000, 1.5000, 1.0000, 0.0000]])
    """

    def __init__(
        self,
        curvature: float,
        offsets: torch.Tensor,
        features: torch.Tensor,
        targets: torch.Tensor,
        task_of: torch.Tensor,
        ridge: float,
    ) -> None:
        self.ridge, self._type = ridge, features.dtype
        rows = features.double().flatten(0, 1)
        residuals = (targets.to(features) - offsets.to(features)).double().flatten()
        row_task = task_of.repeat_interleave(features.shape[1])
        self.basis = _row_space(rows)
        inside = rows if self.basis is None else rows @ self.basis
        sizes = torch.bincount(task_of).double()
        matrices, slopes = [], []
        for task, size in enumerate(sizes):
            own = inside[row_task == task]
            matrices.append(curvature / size * (own.T @ own))
            slopes.append(curvature / size * (own.T @ residuals[row_task == task]))
        self.matrices, self.slopes = torch.stack(matrices), torch.stack(slopes)

    def solve(self, shares: torch.Tensor, *, tolerance: float = 9e-5) -> Solution:
        """Minimise for every row of `shares` (m, K); a row of zeros (the empty subset) gives Z = 0.

        `tolerance` is what other losses are solved to; here the gradient norms are those of rounding.

        Raises
        ------
        ConvergenceError
            Features so large, and a pull so weak, that double precision does not suffice.
        """
        shares = shares.double()
        r = self.matrices.shape[1]
        solved, norms = shares.new_zeros((len(shares), r)), shares.new_zeros(len(shares))
        for chosen in torch.arange(len(shares)).split(max(1, _TOGETHER // (8 * max(1, r * r)))):
            matrix = torch.tensordot(shares[chosen], self.matrices, dims=1)
            matrix.diagonal(dim1=1, dim2=2).add_(self.ridge)
            slope = shares[chosen] @ self.slopes
            factor, failed = torch.linalg.cholesky_ex(matrix)
            if bool(failed.any()):
                fix = "Raise the ridge, or look for extreme values in the samples and the features."
                raise ConvergenceError(
                    "GradEx", "a matrix that rounding makes singular", "one that can be solved", fix
                )
            found = torch.cholesky_solve(slope[..., None], factor)
            solved[chosen] = found.squeeze(2)
            norms[chosen] = (matrix @ found - slope[..., None]).squeeze(2).norm(dim=1)
        z = solved if self.basis is None else solved @ self.basis.T
        return Solution(z.to(self._type), norms.to(self._type), 1)


def _row_space(rows: torch.Tensor) -> torch.Tensor | None:
    """Orthonormal columns (k, r) that span the rows (N, k); None where that would save nothing."""
    count, k = rows.shape
    if count >= k:
        return None
    squares, vectors = torch.linalg.eigh(rows @ rows.T)
    kept = squares > _ROUNDING * squares[-1].clamp(min=1e-300)
    found: torch.Tensor = rows.T @ vectors[:, kept] / squares[kept].sqrt()
    return found
