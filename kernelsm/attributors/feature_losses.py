"""Task losses of the model that is linear in gradient features: the place where GradEx estimates, too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from kernelsm.attributors.task_losses import TaskLosses, averaging, shares_of
from kernelsm.estimators.gradex import GradEx
from kernelsm.gradients.features import GradientFeatures
from kernelsm.objectives.objective import Expansion, Linearisation
from kernelsm.runtime.checks import check_choice
from kernelsm.runtime.errors import ConvergenceError
from kernelsm.runtime.store import content_hash
from kernelsm.tasks.suite import TaskSuite

Point = Literal["base", "all_tasks"]
_DOUBLE_UP_TO = 2 * 2**30


@dataclass(frozen=True)
class SampleRows:
    """Training or test samples in the linear model.

    Parameters
    ----------
    linearisation : Linearisation
    offsets : Tensor, shape (n, R)
        The numbers u at W0.
    features : Tensor, shape (n, R, k)
        Their gradients.
    labels : Tensor, shape (n, ...)
    means : Tensor, shape (groups, n)
        Takes means over the samples of each task or target.
    group_of : ndarray of int64, shape (n,)
    """

    linearisation: Linearisation
    offsets: torch.Tensor
    features: torch.Tensor
    labels: torch.Tensor
    means: torch.Tensor
    group_of: NDArray[np.int64]

    def outputs(self, w: torch.Tensor) -> torch.Tensor:
        """The numbers u at w, shape (R, n, 1)."""
        return (self.offsets + self.features @ w).T[..., None]

    def expand(self, w: torch.Tensor) -> Expansion:
        """Slope and curvature of each sample's loss by its numbers u at w, shapes (R, n, 1)."""
        return self.expand_at(self.outputs(w))

    def expand_at(self, outputs: torch.Tensor) -> Expansion:
        """The same at outputs (R, n, m)."""
        targets = self.linearisation.targets(self.labels, len(outputs)).to(self.offsets)
        return self.linearisation.loss.expand(outputs, targets.T[..., None])

    def gradients(self, w: torch.Tensor) -> torch.Tensor:
        """Gradient of the mean loss of each group, shape (groups, k)."""
        slope = self.expand(w).slope[..., 0].T  # (n, R)
        by_sample = torch.einsum("nr,nrk->nk", slope, self.features)
        return self.means @ by_sample

    def changes(self, vectors: torch.Tensor) -> torch.Tensor:
        """Change of the numbers u along each of (r, k) vectors, shape (R, n, r)."""
        n, R, k = self.features.shape
        return (self.features.reshape(n * R, k) @ vectors.T).reshape(n, R, -1).permute(1, 0, 2)


class FeatureLosses(TaskLosses):
    """Losses of tasks and targets in the model linearised at W0; w is the change Z of the weights, W0 is 0.

    Parameters
    ----------
    suite : TaskSuite
    train, test : GradientFeatures
        As of `GradEx`.
    ridge : float
        λ > 0 of the pull towards W0.
    point : {"base", "all_tasks"}
        Where methods look that look at one place: at W0, or at the minimum for all tasks in the linear model.

    Raises
    ------
    InputError
        Features that do not belong to the suite, or another point.
    """

    where = "features"

    def __init__(
        self,
        suite: TaskSuite,
        train: GradientFeatures,
        test: GradientFeatures,
        *,
        ridge: float = 0.03,
        point: Point = "base",
    ) -> None:
        check_choice("point", point, get_args(Point))
        self.gradex = GradEx(suite, train, test, ridge=ridge)  # checks that all belong together
        self.suite, self.ridge, self.point = suite, float(ridge), point
        self.objective, self.linearisation = self.gradex.objective, self.gradex.linearisation
        self.task_names, self.target_names = suite.task_names, suite.target_names
        self.sizes = suite.tasks.sizes
        double = 8 * (train.features.size + test.features.size) <= _DOUBLE_UP_TO
        self.dtype = torch.double if double else torch.float
        self.shares = torch.from_numpy(shares_of(suite)).to(self.dtype)
        self.train = self._rows(train, suite.task_of, self.K)
        self.test = self._rows(test, suite.target_of, self.q)
        self.start = torch.zeros(self.train.features.shape[2], dtype=self.dtype)
        features_hash = content_hash(*(vars(features) for features in (train, test)))
        self.key = (suite.content_hash, features_hash, self.ridge, point)
        self.features_meta = train.meta
        self._at: torch.Tensor | None = None

    def _rows(self, features: GradientFeatures, group_of: NDArray[np.int64], groups: int) -> SampleRows:
        labels, outputs = torch.tensor(features.labels), torch.tensor(features.model_outputs)
        gradients = self.linearisation.features(torch.tensor(features.features))
        offsets = self.linearisation.offsets(outputs.to(self.dtype), labels)
        means = averaging(group_of, groups, self.dtype)
        return SampleRows(self.linearisation, offsets, gradients.to(self.dtype), labels, means, group_of)

    @property
    def test_samples(self) -> int:
        """Number of test samples."""
        return len(self.test.labels)

    @property
    def at(self) -> torch.Tensor:
        """0, or the minimum for all tasks."""
        if self._at is None:
            self._at = self.start if self.point == "base" else self._tuned()
        return self._at

    def _tuned(self) -> torch.Tensor:
        everything = self.gradex.shares(np.ones((1, self.K), dtype=np.bool_))
        solution = self.gradex.problem.solve(everything, tolerance=self.gradex.tolerance)
        worst = float(solution.gradient_norm.max())
        if not worst <= 10 * self.gradex.tolerance:
            raise ConvergenceError(
                "minimum for all tasks", f"a gradient norm of {worst:.1e}", f"at most {self.gradex.tolerance:.0e}",
                "Raise the pull, or look at W0 (point='base').",
            )  # fmt: skip
        return solution.z[0].to(self.dtype)

    def _losses(self, rows: SampleRows, w: torch.Tensor) -> torch.Tensor:
        each = torch.arange(len(rows.labels))
        found = self.objective.measure(rows.outputs(w), rows.labels, each, len(each), self.linearisation)
        return rows.means @ found[0, 0]

    def task_losses(self, w: torch.Tensor) -> torch.Tensor:
        """Mean loss of each task, shape (K,)."""
        return self._losses(self.train, w)

    def target_losses(self, w: torch.Tensor) -> torch.Tensor:
        """Mean loss of each target, shape (q,)."""
        return self._losses(self.test, w)

    def task_gradients(self, w: torch.Tensor) -> torch.Tensor:
        """Sums of features, weighted with the slope of the loss."""
        return self.train.gradients(w)

    def target_gradients(self, w: torch.Tensor) -> torch.Tensor:
        """Sums of test features, weighted with the slope of the loss."""
        return self.test.gradients(w)

    @property
    def sample_weights(self) -> torch.Tensor:
        """Weight of each training sample where all tasks are in, shape (n,)."""
        return self.shares @ self.train.means

    def curvature_times(self, w: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Two products with the features, and the curvature of the loss between them."""
        curved = self.train.expand(w).curvature_times(self.train.changes(vectors))
        weighted = curved * self.sample_weights[None, :, None]
        n, R, k = self.train.features.shape
        return weighted.permute(1, 0, 2).reshape(n * R, -1).T @ self.train.features.reshape(n * R, k)

    def _dense(self, w: torch.Tensor) -> torch.Tensor:
        """Σ_i w_i J_iᵀ (diag(d_i) - b_i b_iᵀ) J_i, task by task, so that weighted copies stay small."""
        expansion, weights = self.train.expand(w), self.sample_weights
        total = torch.zeros(self.d, self.d, dtype=self.dtype)
        for k in range(self.K):
            rows = torch.from_numpy(np.flatnonzero(self.train.group_of == k))
            features = self.train.features[rows]  # (n, R, k)
            diagonal = (expansion.diagonal[:, rows, 0] * weights[rows]).T
            scaled = (features * diagonal.sqrt()[..., None]).flatten(0, 1)
            total += scaled.T @ scaled
            if expansion.cross is not None:
                along = torch.einsum("nr,nrk->nk", expansion.cross[:, rows, 0].T, features)
                along = along * weights[rows].sqrt()[:, None]
                total -= along.T @ along
        return total
