"""The rows of the linearised outputs, task by task, and the products of all masks with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from kernelsm.objectives.objective import Expansion, OutputLoss


@dataclass(frozen=True)
class TaskRows:
    """The samples of one task; rows are ordered by output, then sample.

    Parameters
    ----------
    loss : OutputLoss
        Of the R outputs of each sample.
    features : Tensor, shape (R * n, k)
    offsets, targets : Tensor, shape (R, n, 1)
        Outputs at Z = 0, and what the loss compares outputs with.
    """

    loss: OutputLoss
    features: torch.Tensor
    offsets: torch.Tensor
    targets: torch.Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(R, n)."""
        return self.offsets.shape[0], self.offsets.shape[1]

    @property
    def size(self) -> int:
        """Number of samples n."""
        return int(self.offsets.shape[1])

    def expand(self, shift: torch.Tensor) -> Expansion:
        """Expand the loss at the outputs offsets + shift (R, n, m)."""
        return self.loss.expand(self.offsets + shift, self.targets)

    def times(self, directions: torch.Tensor) -> TaskRows:
        """The same rows with features in other coordinates: their products with the columns of `directions`."""
        return replace(self, features=self.features @ directions)


def task_rows(
    loss: OutputLoss,
    offsets: torch.Tensor,
    features: torch.Tensor,
    targets: torch.Tensor,
    task_of: torch.Tensor,
) -> list[TaskRows]:
    """Split offsets (n, R), features (n, R, k) and targets (n, R) by task."""
    rows, k = features.shape[1:]
    order = torch.argsort(task_of, stable=True)
    sizes = torch.bincount(task_of).tolist()
    return [
        TaskRows(
            loss,
            features[samples].transpose(0, 1).reshape(rows * len(samples), k),
            offsets[samples].to(features).T[..., None].contiguous(),
            targets[samples].to(features).T[..., None].contiguous(),
        )
        for samples in order.split(sizes)
    ]


class TaskMembership:
    """Which masks of a batch include which task, and how much they weigh its samples.

    Parameters
    ----------
    shares : Tensor, shape (m, K)
    sizes : list of int
        Samples of each task.

    Attributes
    ----------
    masks : list of Tensor of int64, shape (m_t,)
        For each task, the positions of the masks that include it.
    weights : list of Tensor, shape (m_t,)
        For each task, the weight of one of its samples in the loss of these masks.
    """

    def __init__(self, shares: torch.Tensor, sizes: list[int]) -> None:
        self.sizes = sizes
        self.masks = [torch.nonzero(shares[:, t] > 0).squeeze(1) for t in range(len(sizes))]
        self.weights = [
            shares[masks, t] / size for t, (masks, size) in enumerate(zip(self.masks, sizes, strict=True))
        ]


def output_changes(tasks: list[TaskRows], membership: TaskMembership, z: torch.Tensor) -> list[torch.Tensor]:
    """<G, z> per task for the masks that include it, each (R, n, m_t); z is (m, k)."""
    return [
        (task.features @ z[masks].T).reshape(*task.shape, -1)
        for task, masks in zip(tasks, membership.masks, strict=True)
    ]


def gradient(
    tasks: list[TaskRows], membership: TaskMembership, expansions: list[Expansion], ridge: float, z: torch.Tensor
) -> torch.Tensor:
    """Gradient of what each mask minimises, (m, k), from the expansions of its samples' losses."""
    total = ridge * z
    for task, masks, weights, expansion in zip(tasks, membership.masks, membership.weights, expansions, strict=True):
        total.index_add_(0, masks, (expansion.slope.flatten(0, 1) * weights).T @ task.features)
    return total
