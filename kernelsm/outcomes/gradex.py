"""GradEx: outcomes of all subsets from logits and gradients at W0, without retraining (paper Algorithm 2)."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from kernelsm.gradients.features import GradientFeatures
from kernelsm.outcomes.estimation import outcomes_by_block
from kernelsm.outcomes.gradex_solver import SoftmaxProblem
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store, content_hash
from kernelsm.tasks.suite import TaskSuite


class GradEx:
    """Estimates F(s) in the model linearised at W0.

    For each subset, minimise over Z the mean cross-entropy of f_W0(x) + <∇f_W0(x), Z> on the included tasks plus
    ridge/2 ‖Z‖², then read the mean loss (nats) of each target in the same linear model. The matching ground truth
    is `Retraining` with the same ridge.

    Parameters
    ----------
    suite : TaskSuite
    train, test : GradientFeatures
        Of the suite's training and test samples, through one projection.
    ridge : float
        λ > 0, the strength of the pull towards W0.
    tolerance : float
        Largest gradient norm at which a solution is accepted.
    block : int
        Masks solved together; also the chunk that a resumed job repeats.

    Raises
    ------
    InputError
        ridge ≤ 0, or features that do not belong to the suite.
    """

    def __init__(
        self,
        suite: TaskSuite,
        train: GradientFeatures,
        test: GradientFeatures,
        *,
        ridge: float = 0.03,
        tolerance: float = 1e-5,
        block: int = 32,
    ) -> None:
        if not (ridge > 0 and math.isfinite(ridge)):
            raise InputError("ridge", f"{ridge}", "a finite number above 0", "0.03 is the examples' value.")
        for place, features, count in (("train", train, len(suite.inputs)), ("test", test, len(suite.test_inputs))):
            if len(features.logits) != count:
                found = f"features of {len(features.logits)} samples"
                raise InputError(place, found, f"{count}, as in the suite", "Compute features of this suite.")
        if train.meta != test.meta:
            raise InputError("test", f"{test.meta}", f"{train.meta}", "Use one model and one projection for both.")
        self.suite, self.train, self.test = suite, train, test
        self.ridge, self.tolerance, self.block = ridge, tolerance, block

    def outcomes(self, masks: NDArray[np.bool_], *, store: Store | None = None, report: Report = silent) -> Outcomes:
        """Estimate the outcome of each mask.

        Returns
        -------
        Outcomes
            Mean test loss per target, in nats, shape (m, q). The empty subset leaves the model at W0.
        """
        features_hash = content_hash(*(vars(features) for features in (self.train, self.test)))
        return outcomes_by_block(
            self.suite,
            masks,
            _solve_block,
            key=(self.suite.content_hash, features_hash, self.ridge, self.tolerance),
            heavy={"gradex": self},
            block=self.block,
            store=store,
            report=report,
            message="GradEx",
            meta={
                "estimator": "gradex", "ridge": self.ridge, "tolerance": self.tolerance,
                "suite": self.suite.content_hash, **self.train.meta,
            },
        )  # fmt: skip

    @cached_property
    def problem(self) -> SoftmaxProblem:
        """The shared part of all solves; built when the first block is not in the store."""
        everything = self.suite.sample_weights(np.ones((1, self.suite.K), dtype=np.bool_))[0]
        return SoftmaxProblem(
            torch.from_numpy(self.train.logits),
            torch.from_numpy(self.train.features),
            torch.from_numpy(self.train.labels),
            torch.from_numpy(everything),
            self.ridge,
        )

    def target_losses(self, z: torch.Tensor) -> NDArray[np.float64]:
        """Mean cross-entropy of each target in the linear model at Z (k, m), shape (m, q)."""
        n, classes, k = self.test.features.shape
        features = torch.from_numpy(self.test.features).reshape(n * classes, k).to(z)
        logits = torch.from_numpy(self.test.logits).to(z).unsqueeze(-1) + (features @ z).reshape(n, classes, -1)
        labels = torch.from_numpy(self.test.labels)[:, None].expand(-1, logits.shape[-1])
        return group_means(torch.nn.functional.cross_entropy(logits, labels, reduction="none"), self.suite)


def group_means(losses: torch.Tensor, suite: TaskSuite) -> NDArray[np.float64]:
    """Average losses of the test samples (n, m) within each target, shape (m, q)."""
    target = torch.from_numpy(suite.target_of)
    sums = losses.new_zeros((len(suite.target_names), losses.shape[1])).index_add_(0, target, losses)
    counts = torch.bincount(target, minlength=len(suite.target_names))
    return (sums / counts[:, None]).T.double().numpy()


def _solve_block(
    masks: NDArray[np.bool_], suite_hash: str, features_hash: str, ridge: float, tolerance: float, gradex: GradEx
) -> NDArray[np.float64]:
    """Outcomes of one block of masks, shape (masks, q); all but `gradex` is the store's key."""
    weights = torch.from_numpy(gradex.suite.sample_weights(masks))
    solution = gradex.problem.solve(weights, tolerance=tolerance)
    worst = float(solution.gradient_norm.max())
    if not worst <= 100 * tolerance:
        fix = "Raise the ridge, or check the features for extreme values."
        raise InputError("GradEx", f"gradient norm {worst:.1e} after {solution.steps} steps", f"{tolerance:.0e}", fix)
    return gradex.target_losses(solution.z)
