"""Where the loss of GradEx' linear model curves: leading directions, the Hessian, and a preconditioner per mask."""

from __future__ import annotations

import torch

from kernelsm.estimators.gradex_task_rows import TaskMembership, TaskRows
from kernelsm.objectives.objective import Expansion

# number of directions solved by Newton steps, and how many of them have a full matrix as preconditioner
LEADING = 384
_DENSE = 64
# of a task with this many samples or more, every other one suffices to find the directions
_HALVED_FROM = 20
# with at most this many directions all of them are leading: leaving some out would save too little
_ALL_LEADING_UP_TO = 640


def leading_directions(tasks: list[TaskRows]) -> tuple[list[TaskRows], torch.Tensor | None]:
    """Project the rows onto the directions in which the mean loss over all tasks curves most at Z = 0.

    Returns
    -------
    list of TaskRows
        With features (R * n, r).
    basis : Tensor, shape (k, r), or None
        Orthonormal columns; None where all k directions are kept. From one random range finder (Halko, Martinsson
        and Tropp 2011) with a fixed seed.
    """
    k = tasks[0].features.shape[1]
    if k <= _ALL_LEADING_UP_TO:
        return list(tasks), None
    generator = torch.Generator().manual_seed(0)
    guess = torch.randn((k, LEADING), generator=generator).to(tasks[0].features)
    image = torch.zeros_like(guess)
    for task in tasks:
        half = slice(None, None, 2 if task.size >= _HALVED_FROM else 1)
        expansion = task.expand(torch.zeros_like(task.offsets)).of_samples(half)
        features = task.features.unflatten(0, task.shape)[:, half].flatten(0, 1)
        outputs, samples = expansion.diagonal.shape[:2]
        curved = expansion.curvature_times((features @ guess).reshape(outputs, samples, -1))
        image += features.T @ curved.flatten(0, 1) / samples
    basis = torch.linalg.qr(image).Q
    return [task.times(basis) for task in tasks], basis


class Curvature:
    """Gauss-Newton matrices of each task at the reference, the minimum for the full set.

    Parameters
    ----------
    tasks : list of TaskRows
    reference : list of Expansion
        Of one model, m = 1.
    """

    def __init__(self, tasks: list[TaskRows], reference: list[Expansion]) -> None:
        self.tasks = tasks
        dense = min(_DENSE, tasks[0].features.shape[1])
        pairs = list(zip(tasks, reference, strict=True))
        self.dense = torch.stack([_gauss_newton(task, expansion, dense) for task, expansion in pairs])
        self.diagonal = torch.stack([_diagonal(task, expansion) for task, expansion in pairs])
        self._trace_at_reference = [_trace(task, expansion).clamp(min=1e-30) for task, expansion in pairs]

    @staticmethod
    def rotation(tasks: list[TaskRows], reference: list[Expansion]) -> torch.Tensor:
        """Eigenvectors (r, r) of the mean Gauss-Newton matrix over tasks, the most curved direction first."""
        rank = tasks[0].features.shape[1]
        mean = sum(
            (_gauss_newton(task, expansion, rank) for task, expansion in zip(tasks, reference, strict=True)),
            torch.zeros_like(tasks[0].features[:1]),
        )
        vectors: torch.Tensor = torch.linalg.eigh(mean).eigenvectors
        return vectors.flip(1)

    def adapted_shares(
        self, shares: torch.Tensor, membership: TaskMembership, traces: list[torch.Tensor]
    ) -> torch.Tensor:
        """Multiply shares (m, K) by how much more each task curves the loss of a mask than at the reference.

        A task that other tasks contradict curves it much more than one that the model predicts with certainty.
        `traces` holds the trace of each task's curvature for the masks that include it, (m_t,).
        """
        adapted = shares.clone()
        for t, (masks, trace) in enumerate(zip(membership.masks, traces, strict=True)):
            adapted[masks, t] *= trace / self._trace_at_reference[t]
        return adapted


class Preconditioner:
    """Approximation of (H_s + λI)⁻¹ for each mask: dense in the most curved directions, diagonal in the others.

    Parameters
    ----------
    curvature : Curvature
    shares : Tensor, shape (m, K)
    ridge : float
    """

    def __init__(self, curvature: Curvature, shares: torch.Tensor, ridge: float) -> None:
        dense = (shares @ curvature.dense.flatten(1)).reshape(len(shares), *curvature.dense.shape[1:])
        dense.diagonal(dim1=1, dim2=2).add_(ridge)
        factor, failed = torch.linalg.cholesky_ex(dense)
        if bool(failed.any()):  # the scaled matrix of a task with hardly any curvature may be mere rounding
            diagonal = dense.diagonal(dim1=1, dim2=2).clamp(min=ridge).sqrt().diag_embed()
            factor = torch.where(failed[:, None, None] > 0, diagonal, factor)
        self.inverse = torch.cholesky_inverse(factor)
        self.rest = 1 / (shares @ curvature.diagonal[:, dense.shape[1] :] + ridge)

    def take(self, chosen: torch.Tensor) -> Preconditioner:
        """The same for some of the masks."""
        part = object.__new__(Preconditioner)
        part.inverse, part.rest = self.inverse[chosen], self.rest[chosen]
        return part

    def __call__(self, v: torch.Tensor) -> torch.Tensor:
        """Apply to each row of v (m, r)."""
        d = self.inverse.shape[1]
        return torch.cat([torch.bmm(self.inverse, v[:, :d, None]).squeeze(2), v[:, d:] * self.rest], dim=1)


class WholePreconditioner:
    """Approximation of (H_s + λI)⁻¹ in all coordinates: `Preconditioner` in the leading directions, 1/λ in the rest.

    Parameters
    ----------
    leading : Preconditioner
    basis : Tensor, shape (k, r)
        Of the leading directions; orthonormal columns.
    ridge : float
    """

    def __init__(self, leading: Preconditioner, basis: torch.Tensor, ridge: float) -> None:
        self.leading, self.basis, self.ridge = leading, basis, ridge

    def take(self, chosen: torch.Tensor) -> WholePreconditioner:
        """The same for some of the masks."""
        return WholePreconditioner(self.leading.take(chosen), self.basis, self.ridge)

    def __call__(self, v: torch.Tensor) -> torch.Tensor:
        """Apply to each row of v (m, k)."""
        inside = v @ self.basis
        return (self.leading(inside) - inside / self.ridge) @ self.basis.T + v / self.ridge


def _trace(task: TaskRows, expansion: Expansion) -> torch.Tensor:
    squares = task.features.square().sum(dim=1).reshape(*task.shape, 1)
    return (expansion.own_curvature * squares).sum(dim=(0, 1))


def _factors(task: TaskRows, expansion: Expansion, width: int) -> tuple[torch.Tensor, torch.Tensor | None]:
    """A (R * n, width) and B (n, width), or None for 0, of the Gauss-Newton matrix AᵀA - BᵀB of the samples' sum."""
    features = task.features[:, :width].reshape(*task.shape, width)
    cross = None if expansion.cross is None else (features * expansion.cross).sum(dim=0)
    return (features * expansion.diagonal.sqrt()).flatten(0, 1), cross


def _gauss_newton(task: TaskRows, expansion: Expansion, width: int) -> torch.Tensor:
    a, b = _factors(task, expansion, width)
    return (a.T @ a if b is None else a.T @ a - b.T @ b) / task.size


def _diagonal(task: TaskRows, expansion: Expansion) -> torch.Tensor:
    a, b = _factors(task, expansion, task.features.shape[1])
    squares = a.square().sum(dim=0)
    return (squares if b is None else squares - b.square().sum(dim=0)).clamp(min=0) / task.size
