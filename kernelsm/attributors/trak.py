"""TRAK on gradient features: the paper's task features, and the published scores of samples summed by task."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from kernelsm.attributors.attributor import Array, MethodCost
from kernelsm.attributors.feature_losses import FeatureLosses
from kernelsm.attributors.first_order import FirstOrder
from kernelsm.attributors.solves import solve_dense
from kernelsm.objectives.classification import Classification, Margin, margin
from kernelsm.runtime.checks import check_number, check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report
from kernelsm.runtime.store import Store


class _Trak(FirstOrder):
    """What both forms share: margins' gradients φ, projected, and residuals 1 - p.

    Parameters
    ----------
    losses : FeatureLosses
    centred : bool
        See `kernelsm.attributors.attributor`.
    dim : int, optional
        Coordinates to which the features are projected further by a fixed Gaussian matrix, so that there are fewer of
        them than samples; a quarter of the training samples if not given, and at most as many as there are.
    regulariser : float
        Share of the mean eigenvalue of ΦᵀΦ that is added to its diagonal. The published method adds nothing; a
        trace keeps singular matrices solvable.
    """

    losses: FeatureLosses

    def __init__(
        self, losses: FeatureLosses, *, centred: bool = True, dim: int | None = None, regulariser: float = 1e-6
    ) -> None:
        super().__init__(losses, centred=centred)
        if not isinstance(losses.objective, Classification):
            fix = "Take influence functions, which ask the objective for its curvature."
            raise InputError(self.name, repr(losses.objective.name), "classification", fix)
        check_number("regulariser", regulariser, least=0)
        self.regulariser = regulariser
        k, n = losses.d, sum(losses.sizes)
        self.dim = min(k, max(1, n // 4)) if dim is None else min(k, check_whole("dim", dim))

    def settings(self) -> dict[str, Any]:
        """Parameters, for the metadata."""
        return {**super().settings(), "dim": self.dim, "regulariser": self.regulariser}

    def cost(self) -> MethodCost:
        """One reading of the features, and a small solve."""
        n, k = sum(self.losses.sizes) + self.losses.test_samples, self.losses.d
        work = n * k * (self.dim if self.dim < k else 1) + n * self.dim**2 + self.dim**3
        return MethodCost(1, self.losses.pass_seconds + work / 4e9, 8 * (n * self.dim + 2 * self.dim**2))

    def margins(self, *, test: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Projected gradients φ (n, dim) of each sample's margin at the method's weights, and 1 - p (n,)."""
        rows = self.losses.test if test else self.losses.train
        u = rows.outputs(self.losses.at)[..., 0].T  # (n, R)
        if self.losses.linearisation.name == Margin.name:
            margins, features = u[:, 0], rows.features[:, 0]
        else:
            u = u.detach().clone().requires_grad_()
            margins = margin(torch.cat([u, torch.zeros_like(u[:, :1])], dim=1), rows.labels)
            (slopes,) = torch.autograd.grad(margins.sum(), u)
            features = torch.einsum("nr,nrk->nk", slopes, rows.features)
        residuals = torch.sigmoid(-margins.detach())
        if self.dim < self.losses.d:
            generator = torch.Generator().manual_seed(0)
            projection = torch.randn(self.losses.d, self.dim, generator=generator, dtype=torch.double)
            features = features @ (projection / np.sqrt(self.dim)).to(features)
        return features, residuals

    def _damped(self, gram: torch.Tensor) -> torch.Tensor:
        gram.diagonal().add_(self.regulariser * gram.diagonal().mean())
        return gram


class Trak(_Trak):
    """The published scores, summed over the samples of each task.

    The score of training sample i for test sample x is φ_xᵀ (ΦᵀΦ)⁻¹ φ_i (1 - p_i), for the margin of x; with the
    chain rule the loss of x changes by -(1 - p_x) times it. Here dF/dα_k is the sum over the samples of task k,
    divided by their number and multiplied by that of all, and its mean over the target's test samples.

    References
    ----------
    Park et al. (2023), TRAK: attributing model behavior at scale.
    """

    name, title = "trak", "TRAK, scores of samples summed"

    def _slopes(self, store: Store | None, report: Report) -> Array:
        features, residuals = self.margins(test=False)
        tested, remaining = self.margins(test=True)
        gram = self._damped(features.T @ features)
        sums = self.losses.train.means @ (features * residuals[:, None])
        targets = self.losses.test.means @ (tested * remaining[:, None])
        found = -sum(self.losses.sizes) * sums @ solve_dense(gram, targets).T
        return np.asarray(found.double().numpy())


class TaskTrak(_Trak):
    """The paper's form (appendix B): a row of Φ is the mean of the margins' gradients of a task.

    Scores are φ(target)ᵀ (ΦᵀΦ)⁻¹ Φᵀ Q with the mean 1 - p of each task in Q, K x K. ΦᵀΦ has at most K eigenvalues
    above 0: where there are more coordinates, the smallest solution is taken through the K x K matrix ΦΦᵀ. For the
    loss of a target, scores are multiplied by minus its mean 1 - p.
    """

    name, title = "trak_tasks", "TRAK on task features"

    def _slopes(self, store: Store | None, report: Report) -> Array:
        features, residuals = self.margins(test=False)
        tested, remaining = self.margins(test=True)
        tasks, targets = self.losses.train.means @ features, self.losses.test.means @ tested
        task_residual, target_residual = self.losses.train.means @ residuals, self.losses.test.means @ remaining
        gram = self._damped(tasks @ tasks.T)
        scores = solve_dense(gram, targets @ tasks.T)  # (q, K): φᵀΦᵀ(ΦΦᵀ)⁻¹
        found = -(scores * target_residual[:, None]).T * task_residual[:, None]
        return np.asarray(found.double().numpy())
