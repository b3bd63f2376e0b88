"""The rows of the linearised logits, task by task, and the products of all masks with them."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass
class TaskRows:
    """The samples of one task; rows are ordered by class, then sample.

    Parameters
    ----------
    features : Tensor, shape (R * n, k)
    offsets, one_hot : Tensor, shape (R, n, 1)
        Logits at Z = 0 and the true class; all 0 for the reference class.
    """

    features: torch.Tensor
    offsets: torch.Tensor
    one_hot: torch.Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """(R, n)."""
        return self.offsets.shape[0], self.offsets.shape[1]

    @property
    def size(self) -> int:
        """Number of samples n."""
        return int(self.offsets.shape[1])

    def probabilities(self, shift: torch.Tensor) -> torch.Tensor:
        """Probabilities of the R classes at the logits offsets + shift (R, n, m); the rest is the reference's."""
        logits = self.offsets + shift
        highest = logits.amax(dim=0).clamp_(min=0)
        exponentials = logits.sub_(highest).exp_()
        return exponentials.div_(exponentials.sum(dim=0).add_(highest.neg_().exp_()))


def task_rows(
    offsets: torch.Tensor, features: torch.Tensor, classes: torch.Tensor, task_of: torch.Tensor
) -> list[TaskRows]:
    """Split offsets (n, R), features (n, R, k) and classes (n,) by task."""
    rows, k = features.shape[1:]
    order = torch.argsort(task_of, stable=True)
    sizes = torch.bincount(task_of).tolist()
    tasks = []
    for samples in order.split(sizes):
        tasks.append(
            TaskRows(
                features[samples].transpose(0, 1).reshape(rows * len(samples), k),
                offsets[samples].to(features).T[..., None].contiguous(),
                (classes[samples] == torch.arange(rows)[:, None]).to(features)[..., None],
            )
        )
    return tasks


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


def logit_changes(tasks: list[TaskRows], members: Members, z: torch.Tensor) -> list[torch.Tensor]:
    """<G, z> per task for the masks that include it, each (R, n, m_t); z is (m, k)."""
    return [
        (task.features @ z[rows].T).reshape(*task.shape, -1) for task, rows in zip(tasks, members.rows, strict=True)
    ]


def gradient(
    tasks: list[TaskRows], members: Members, probabilities: list[torch.Tensor], ridge: float, z: torch.Tensor
) -> torch.Tensor:
    """Gradient of the objective of each mask, (m, k), from the probabilities of its samples."""
    total = ridge * z
    for task, rows, scale, p in zip(tasks, members.rows, members.scale, probabilities, strict=True):
        residual = (p - task.one_hot).flatten(0, 1).mul_(scale)
        total.index_add_(0, rows, residual.T @ task.features)
    return total
