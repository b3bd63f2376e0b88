"""GradEx: outcomes of all subsets from logits and gradients at W0, without retraining (paper Algorithm 2)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from kernelsm.estimators.estimator import BlockWork, Estimator, task_weight_key
from kernelsm.estimators.gradex_solver import LinearisedProblem
from kernelsm.estimators.measures import measured
from kernelsm.gradients.features import GradientFeatures
from kernelsm.runtime.checks import check_number, check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import Store, content_hash
from kernelsm.tasks.suite import TaskSuite

MEMORY_BUDGET = 768 * 2**20
# beyond this the products gain nothing, and a cancelled job would lose more
_LARGEST_BLOCK = 1024


class GradEx(Estimator):
    """Estimates F(s) in the model linearised at W0.

    For each subset, minimise over Z the mean cross-entropy of f_W0(x) + <∇f_W0(x), Z> on the included tasks plus
    ridge/2 ‖Z‖², then read the measures of each target in the same linear model. Features of the margin alone are
    linearised as such: the loss is log(1 + exp(-margin)), and right means that the true class has p above 1/2. The
    empty subset leaves the model at W0. The matching ground truth is `Retraining` with the same
    ridge and task weights.

    Parameters
    ----------
    suite : TaskSuite
    train, test : GradientFeatures
        Of the suite's training and test samples, through one projection.
    ridge : float
        λ > 0, the strength of the pull towards W0.
    task_weights : sequence of float, length K, optional
        Positive; included tasks weigh proportionally to them. Equal by default.
    tolerance : float
        Largest gradient norm at which a solution is accepted.
    block : int, optional
        Masks solved together; also the chunk that a resumed job repeats. None chooses as many as `budget` bytes hold,
        at most 1,024; the choice depends on n, C, k and the budget alone, so that a later job finds the same chunks.
    budget : int
        Bytes that the masks of one block may take besides the features, when `block` is None.

    Raises
    ------
    InputError
        ridge or tolerance ≤ 0, weights that are not positive, features that are not finite or do not belong to the
        suite.
    """

    def __init__(
        self,
        suite: TaskSuite,
        train: GradientFeatures,
        test: GradientFeatures,
        *,
        ridge: float = 0.03,
        task_weights: Sequence[float] | None = None,
        tolerance: float = 9e-5,
        block: int | None = None,
        budget: int = MEMORY_BUDGET,
    ) -> None:
        check_number("ridge", ridge, above=0, fix="0.03 is the examples' value.")
        check_number("tolerance", tolerance, above=0, fix="9e-5 suits single precision.")
        if block is not None:
            check_whole("block", block, fix="None chooses one that fits.")
        _check_features("train", train, suite.labels)
        _check_features("test", test, suite.test_labels)
        if train.meta != test.meta:
            raise InputError("test", f"{test.meta}", f"{train.meta}", "Use one model and one projection for both.")
        self.suite, self.train, self.test = suite, train, test
        self.ridge, self.tolerance = ridge, tolerance
        self.task_weights = task_weight_key(suite, task_weights)
        self.block = block or masks_at_once(train.features.shape, budget)

    def _work(self, store: Store | None) -> BlockWork:
        # hashing takes a second for large features, and names chunks that nobody keeps where there is no store
        features_hash = content_hash(*(vars(features) for features in (self.train, self.test))) if store else ""
        return BlockWork(
            _solve_block,
            key=(self.suite.content_hash, features_hash, self.ridge, self.task_weights, self.tolerance),
            heavy={"gradex": self},
            message="GradEx",
            meta={
                "estimator": "gradex", "ridge": self.ridge, "tolerance": self.tolerance,
                **({"task_weights": list(self.task_weights)} if self.task_weights else {}),
                "suite": self.suite.content_hash, **self.train.meta,
            },
        )  # fmt: skip

    @cached_property
    def problem(self) -> LinearisedProblem:
        """The shared part of all solves; built when the first block is not in the store."""
        offsets, features, classes = _against_last_class(self.train)
        return LinearisedProblem(offsets, features, classes, torch.from_numpy(self.suite.task_of), self.ridge)

    @cached_property
    def _test_rows(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Test offsets (R, n, 1), features (R * n, k) and classes (n,)."""
        offsets, features, classes = _against_last_class(self.test)
        return offsets.T[..., None], features.transpose(0, 1).flatten(0, 1).contiguous(), classes

    def shares(self, masks: NDArray[np.bool_]) -> torch.Tensor:
        """Share of each task in the training loss of each mask, shape (m, K); rows sum to 1, or to 0 if empty."""
        weights = self.suite.sample_weights(masks, self.task_weights)
        first = np.unique(self.suite.task_of, return_index=True)[1]
        sizes = np.bincount(self.suite.task_of, minlength=self.suite.K)
        return torch.from_numpy(weights[:, first] * sizes)

    def measures(self, z: torch.Tensor) -> NDArray[np.float64]:
        """All measures of each target in the linear model at Z (m, k), shape (m, 3, q)."""
        offsets, features, classes = self._test_rows
        logits = offsets + (features @ z.T).reshape(*offsets.shape[:2], len(z))
        return measured(logits, classes, self.suite)


def masks_at_once(shape: tuple[int, ...], budget: int) -> int:
    """Masks whose solve takes about `budget` bytes, for features of shape (n, R, k); 1 to 1,024."""
    n, rows, k = shape
    per_mask = 4 * (10 * n * rows + 6 * k + 2 * 64**2)
    return max(1, min(_LARGEST_BLOCK, budget // per_mask))


def _against_last_class(features: GradientFeatures) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Offsets (n, R), features (n, R, k) and classes (n,) with the last class as the reference."""
    gradients = torch.tensor(features.features)
    if features.outputs == "margin":
        # two classes: the true one is class 0, all others together are the reference
        return torch.tensor(features.margins)[:, None], gradients, torch.zeros(len(gradients), dtype=torch.int64)
    logits = torch.tensor(features.logits)
    return logits[:, :-1] - logits[:, -1:], gradients[:, :-1] - gradients[:, -1:], torch.tensor(features.labels)


def _check_features(place: str, features: GradientFeatures, labels: NDArray[np.int64]) -> None:
    fix = "Compute features of this suite."
    count = len(labels)
    if len(features.logits) != count:
        raise InputError(place, f"features of {len(features.logits)} samples", f"{count}, as in the suite", fix)
    if not np.array_equal(features.labels, labels):
        raise InputError(f"{place}, labels", "other labels", "those of the suite", fix)
    rows = 1 if features.outputs == "margin" else features.logits.shape[1]
    if features.features.ndim != 3 or features.features.shape[:2] != (count, rows):
        raise InputError(f"{place}, features", f"shape {features.features.shape}", f"({count}, {rows}, k)", fix)
    for name, values in (("logits", features.logits), ("features", features.features)):
        if not np.isfinite(values).all():
            fix = "Check the model's weights and inputs."
            raise InputError(f"{place}, {name}", "values that are not finite", "finite numbers", fix)


def _solve_block(
    masks: NDArray[np.bool_],
    suite_hash: str,
    features_hash: str,
    ridge: float,
    task_weights: tuple[float, ...] | None,
    tolerance: float,
    gradex: GradEx,
) -> NDArray[np.float64]:
    """All measures of one block of masks, shape (masks, 3, q); all but `gradex` is the store's key."""
    solution = gradex.problem.solve(gradex.shares(masks), tolerance=tolerance)
    worst = float(solution.gradient_norm.max())
    if not worst <= 10 * tolerance:
        fix = "Raise the ridge, or check the features for extreme values."
        raise InputError(
            "GradEx", f"gradient norm {worst:.1e} after {solution.passes} passes", f"{tolerance:.0e}", fix
        )
    return gradex.measures(solution.z)
