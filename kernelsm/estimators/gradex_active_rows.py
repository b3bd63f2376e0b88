"""Newton steps in the leading directions on the rows that matter, the others held fixed.

Most classes of most samples have a probability near 0 for every mask: their logits hardly move anything. Their share
of each sample's normaliser and of each mask's gradient is frozen at the point where the steps begin; what that leaves
out is put right by the next full gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from kernelsm.estimators.gradex_task_rows import Members, TaskRows

# rows whose p (1 - p) is below the first for every mask are frozen, below the second left out of the Hessian.
# Neither holds where p is further than the third from what it should be.
_NEGLIGIBLE = 1e-4
_FLAT = 1e-3
_WRONG = 0.5


@dataclass
class _Rows:
    """Kept rows of one task: features (rows, r), sample of each, true class (rows, 1), and samples n of the task.

    The first `curved` rows are those of the Hessian.
    Per mask that includes the task: logits and probabilities (rows, m_t), per sample the scale of the exponentials
    and the frozen rest of the normaliser (n, m_t).
    """

    features: torch.Tensor
    sample: torch.Tensor
    one_hot: torch.Tensor
    size: int
    curved: int
    logits: torch.Tensor
    high: torch.Tensor
    rest: torch.Tensor
    p: torch.Tensor

    def refresh(self) -> None:
        exponentials = (self.logits - self.high[self.sample]).exp_()
        total = self.rest.index_add(0, self.sample, exponentials)
        self.p = exponentials.div_(total[self.sample])

    def of_masks(self, columns: torch.Tensor) -> _Rows:
        return _Rows(
            self.features, self.sample, self.one_hot, self.size, self.curved, self.logits[:, columns],
            self.high[:, columns], self.rest[:, columns], self.p[:, columns],
        )  # fmt: skip


class KeptRows:
    """All masks of a batch on the kept rows, at leading coordinates z (m, r).

    Parameters
    ----------
    tasks : list of TaskRows
        With features of the leading directions.
    shares : Tensor, shape (m, K)
    members : Members
    shift, probabilities : list of Tensor, shape (R, n, m_t)
        Logits less the offsets, and probabilities, of all rows where the steps begin.
    z : Tensor, shape (m, r)
    gradient : Tensor, shape (m, r)
        The true gradient there; the frozen rows' part of it stays.
    ridge : float
    """

    def __init__(
        self,
        tasks: list[TaskRows],
        shares: torch.Tensor,
        members: Members,
        shift: list[torch.Tensor],
        probabilities: list[torch.Tensor],
        z: torch.Tensor,
        gradient: torch.Tensor,
        ridge: float,
    ) -> None:
        self.shares, self.members, self.z, self.ridge = shares, members, z, ridge
        self.tasks = [_kept(task, s, p) for task, s, p in zip(tasks, shift, probabilities, strict=True)]
        self.frozen = torch.zeros_like(z)
        self.frozen = gradient - self.gradient()

    def gradient(self) -> torch.Tensor:
        """Gradient of the objective of each mask, (m, r)."""
        total = torch.addcmul(self.frozen, self.z, self.z.new_tensor(self.ridge))
        for task, rows, scale in zip(self.tasks, self.members.rows, self.members.scale, strict=True):
            total.index_add_(0, rows, ((task.p - task.one_hot).mul_(scale)).T @ task.features)
        return total

    def hessian_times(self, v: torch.Tensor) -> torch.Tensor:
        """Hessian of the objective of each mask times v (m, r)."""
        total = self.ridge * v
        for task, rows, scale in zip(self.tasks, self.members.rows, self.members.scale, strict=True):
            features, p, sample = task.features[: task.curved], task.p[: task.curved], task.sample[: task.curved]
            u = (features @ v[rows].T).mul_(p)
            mean = u.new_zeros((task.size, u.shape[1])).index_add_(0, sample, u)
            u.addcmul_(p, mean[sample], value=-1).mul_(scale)
            total.index_add_(0, rows, u.T @ features)
        return total

    def changes(self, direction: torch.Tensor) -> list[torch.Tensor]:
        """Change of the logits along directions (m, r), per task (rows, m_t)."""
        return [task.features @ direction[rows].T for task, rows in zip(self.tasks, self.members.rows, strict=True)]

    def farthest(self, change: list[torch.Tensor]) -> torch.Tensor:
        """Largest change of a logit of each mask, (m,)."""
        found = self.z.new_zeros(len(self.z))
        for rows, by in zip(self.members.rows, change, strict=True):
            if by.numel():
                found[rows] = torch.maximum(found[rows], by.abs().amax(dim=0))
        return found

    def move(self, change: list[torch.Tensor]) -> None:
        """Add changes to the logits; probabilities follow."""
        for task, by in zip(self.tasks, change, strict=True):
            task.logits = task.logits + by
            task.refresh()

    def slopes(self, change: list[torch.Tensor]) -> torch.Tensor:
        """Slope of the kept rows' loss along changes, (m,)."""
        found = self.z.new_zeros(len(self.z))
        for task, rows, scale, by in zip(self.tasks, self.members.rows, self.members.scale, change, strict=True):
            found.index_add_(0, rows, ((task.p - task.one_hot) * by).sum(dim=0) * scale)
        return found

    def take(self, kept: torch.Tensor) -> KeptRows:
        """The same for some of the masks."""
        part = object.__new__(KeptRows)
        part.shares, part.z, part.ridge, part.frozen = self.shares[kept], self.z[kept], self.ridge, self.frozen[kept]
        part.members = Members(part.shares, self.members.sizes)
        part.tasks = [task.of_masks(kept[rows]) for task, rows in zip(self.tasks, self.members.rows, strict=True)]
        return part

    def sizes(self) -> list[torch.Tensor]:
        """How much each task curves for each mask, (m_t,) per task: the trace of its Gauss-Newton matrix, roughly."""
        return [
            (task.p * (1 - task.p) * task.features.square().sum(dim=1, keepdim=True)).sum(dim=0)
            for task in self.tasks
        ]


def _kept(task: TaskRows, shift: torch.Tensor, p: torch.Tensor) -> _Rows:
    classes, samples = task.shape
    flat = p.flatten(0, 1)
    # a sample that the network is surely wrong about does not curve the loss, but will as soon as it is put right
    wrong = (flat - task.one_hot.flatten(0, 1)).abs()
    matters = torch.where(wrong > _WRONG, wrong, flat * (1 - flat))
    largest = matters.amax(dim=1) if flat.shape[1] else flat.new_zeros(len(flat))
    curved = torch.nonzero(largest > _FLAT).squeeze(1)
    rows = torch.cat([curved, torch.nonzero((largest > _NEGLIGIBLE) & (largest <= _FLAT)).squeeze(1)])
    logits = (task.offsets + shift).flatten(0, 1)
    # what was frozen is what the kept rows do not explain of 1 = Σ p; both in the scale of the largest logit
    high = (task.offsets + shift).amax(dim=0).clamp_(min=0)
    kept = logits[rows]
    sample = rows % samples
    whole = (logits.reshape(classes, samples, -1) - high).exp_().sum(dim=0) + (-high).exp()
    mine = torch.zeros_like(whole).index_add_(0, sample, (kept - high[sample]).exp_())
    features = task.features[rows]
    return _Rows(
        features, sample, task.one_hot.flatten(0, 1)[rows], samples, len(curved), kept, high,
        (whole - mine).clamp_(min=0), flat[rows],
    )  # fmt: skip
