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


class Members:
    """Which masks include which task: for each task their rows in the batch, and the weight of each of its samples.

    Parameters
    ----------
    shares : Tensor, shape (m, K)
    sizes : list of int
        Samples of each task.
    """

    def __init__(self, shares: torch.Tensor, sizes: list[int]) -> None:
        self.sizes = sizes
        self.rows = [torch.nonzero(shares[:, t] > 0).squeeze(1) for t in range(len(sizes))]
        self.scale = [shares[rows, t] / size for t, (rows, size) in enumerate(zip(self.rows, sizes, strict=True))]


def output_changes(tasks: list[TaskRows], members: Members, z: torch.Tensor) -> list[torch.Tensor]:
    """<G, z> per task for the masks that include it, each (R, n, m_t); z is (m, k)."""
    return [
        (task.features @ z[rows].T).reshape(*task.shape, -1) for task, rows in zip(tasks, members.rows, strict=True)
    ]


def gradient(
    tasks: list[TaskRows], members: Members, expansions: list[Expansion], ridge: float, z: torch.Tensor
) -> torch.Tensor:
    """Gradient of what each mask minimises, (m, k), from the expansions of its samples' losses."""
    total = ridge * z
    for task, rows, scale, expansion in zip(tasks, members.rows, members.scale, expansions, strict=True):
        total.index_add_(0, rows, (expansion.slope.flatten(0, 1) * scale).T @ task.features)
    return total
