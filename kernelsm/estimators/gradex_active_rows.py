"""Newton steps in the leading directions on the rows that matter, the others held fixed.

Many rows (output, sample) hardly curve the loss of any mask and have hardly any slope: most classes of most samples
have a probability near 0. They are frozen where the steps begin: their part of the gradient and their influence on
the other outputs stay constant. The next full gradient corrects the error of this.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from kernelsm.estimators.gradex_task_rows import TaskMembership, TaskRows
from kernelsm.objectives.objective import Expansion, RestrictedLoss

# rows whose own curvature is below _NEGLIGIBLE for every mask are frozen; below _FLAT they stay out of the Hessian.
# A row whose slope is above _STEEP for some mask is neither.
_NEGLIGIBLE = 1e-4
_FLAT = 1e-3
_STEEP = 0.5


@dataclass
class _ActiveTask:
    """Active rows of one task, for the masks that include it.

    Parameters
    ----------
    loss : RestrictedLoss
        Of these rows.
    features : Tensor, shape (rows, r)
    sample : Tensor of int64, shape (rows,)
    size : int
        Samples n of the task.
    curved : int
        How many rows, the first ones, enter the Hessian.
    outputs : Tensor, shape (rows, m_t)
    expansion : Expansion
        At these outputs.
    """

    loss: RestrictedLoss
    features: torch.Tensor
    sample: torch.Tensor
    size: int
    curved: int
    outputs: torch.Tensor
    expansion: Expansion

    def move(self, change: torch.Tensor) -> None:
        """Add a change (rows, m_t) to the outputs; the expansion follows."""
        self.outputs = self.outputs + change
        self.expansion = self.loss.expand(self.outputs)

    def hessian_times(self, direction: torch.Tensor) -> torch.Tensor:
        """The curvature of the curved rows times the change of outputs along directions (m_t, r), (curved, m_t)."""
        change, sample = self.features[: self.curved] @ direction.T, self.sample[: self.curved]
        cross = self.expansion.cross
        if cross is not None and cross is not self.expansion.diagonal:
            crossed = change * cross[: self.curved]
            curved = change.mul_(self.expansion.diagonal[: self.curved])
        else:  # probabilities stand for both
            crossed = curved = change.mul_(self.expansion.diagonal[: self.curved])
        if cross is None:
            return curved
        along = crossed.new_zeros((self.size, crossed.shape[1])).index_add_(0, sample, crossed)
        return curved.addcmul_(cross[: self.curved], along[sample], value=-1)

    def of_masks(self, columns: torch.Tensor) -> _ActiveTask:
        return _ActiveTask(
            self.loss.of_models(columns), self.features, self.sample, self.size, self.curved,
            self.outputs[:, columns], self.expansion.of_models(columns),
        )  # fmt: skip


class ActiveRows:
    """All masks of a batch on the active rows, at leading coordinates z (m, r).

    Parameters
    ----------
    tasks : list of TaskRows
        With features of the leading directions.
    shares : Tensor, shape (m, K)
    membership : TaskMembership
    shift : list of Tensor, shape (R, n, m_t)
        Outputs minus offsets, of all rows, where the steps begin.
    expansions : list of Expansion
        Of all rows, at the same point.
    z : Tensor, shape (m, r)
    gradient : Tensor, shape (m, r)
        The full gradient at the same point; the frozen rows' part of it stays constant.
    ridge : float
    """

    def __init__(
        self,
        tasks: list[TaskRows],
        shares: torch.Tensor,
        membership: TaskMembership,
        shift: list[torch.Tensor],
        expansions: list[Expansion],
        z: torch.Tensor,
        gradient: torch.Tensor,
        ridge: float,
    ) -> None:
        self.shares, self.membership, self.z, self.ridge = shares, membership, z, ridge
        self.tasks = [_activate(*of_task) for of_task in zip(tasks, shift, expansions, strict=True)]
        self.frozen = torch.zeros_like(z)
        self.frozen = gradient - self.gradient()

    def gradient(self) -> torch.Tensor:
        """Gradient of what each mask minimises, (m, r)."""
        total = torch.addcmul(self.frozen, self.z, self.z.new_tensor(self.ridge))
        for task, masks, weights in zip(self.tasks, self.membership.masks, self.membership.weights, strict=True):
            total.index_add_(0, masks, (task.expansion.slope * weights).T @ task.features)
        return total

    def hessian_times(self, v: torch.Tensor) -> torch.Tensor:
        """Hessian of what each mask minimises times v (m, r)."""
        total = self.ridge * v
        for task, masks, weights in zip(self.tasks, self.membership.masks, self.membership.weights, strict=True):
            curved = task.hessian_times(v[masks]).mul_(weights)
            total.index_add_(0, masks, curved.T @ task.features[: task.curved])
        return total

    def changes(self, direction: torch.Tensor) -> list[torch.Tensor]:
        """Change of the outputs along directions (m, r), per task (rows, m_t)."""
        return [
            task.features @ direction[masks].T for task, masks in zip(self.tasks, self.membership.masks, strict=True)
        ]

    def largest_change(self, change: list[torch.Tensor]) -> torch.Tensor:
        """Largest change of an output of each mask, (m,)."""
        found = self.z.new_zeros(len(self.z))
        for masks, by in zip(self.membership.masks, change, strict=True):
            if by.numel():
                found[masks] = torch.maximum(found[masks], by.abs().amax(dim=0))
        return found

    def move(self, change: list[torch.Tensor]) -> None:
        """Add changes to the outputs; expansions follow."""
        for task, by in zip(self.tasks, change, strict=True):
            task.move(by)

    def slopes(self, change: list[torch.Tensor]) -> torch.Tensor:
        """Slope of the active rows' loss along changes, (m,)."""
        found = self.z.new_zeros(len(self.z))
        for task, masks, weights, by in zip(
            self.tasks, self.membership.masks, self.membership.weights, change, strict=True
        ):
            found.index_add_(0, masks, (task.expansion.slope * by).sum(dim=0) * weights)
        return found

    def take(self, chosen: torch.Tensor) -> ActiveRows:
        """The same for some of the masks."""
        part = object.__new__(ActiveRows)
        part.shares, part.z, part.ridge = self.shares[chosen], self.z[chosen], self.ridge
        part.frozen = self.frozen[chosen]
        part.membership = TaskMembership(part.shares, self.membership.sizes)
        part.tasks = [
            task.of_masks(chosen[masks]) for task, masks in zip(self.tasks, self.membership.masks, strict=True)
        ]
        return part

    def curvature_traces(self) -> list[torch.Tensor]:
        """Approximate trace of each task's Gauss-Newton matrix for the masks that include it, (m_t,) per task."""
        return [
            (task.expansion.own_curvature * task.features.square().sum(dim=1, keepdim=True)).sum(dim=0)
            for task in self.tasks
        ]


def _activate(task: TaskRows, shift: torch.Tensor, expansion: Expansion) -> _ActiveTask:
    slope, curvature = expansion.slope.flatten(0, 1).abs(), expansion.own_curvature.flatten(0, 1)
    # a sample that the model is confidently wrong about does not curve the loss yet, but will once it is corrected
    matters = torch.where(slope > _STEEP, slope, curvature)
    largest = matters.amax(dim=1) if matters.shape[1] else matters.new_zeros(len(matters))
    curved = torch.nonzero(largest > _FLAT).squeeze(1)
    rows = torch.cat([curved, torch.nonzero((largest > _NEGLIGIBLE) & (largest <= _FLAT)).squeeze(1)])
    outputs = task.offsets + shift
    return _ActiveTask(
        task.loss.restrict(outputs, task.targets, rows), task.features[rows], rows % task.size, task.size,
        len(curved), outputs.flatten(0, 1)[rows], expansion.of_rows(rows),
    )  # fmt: skip
