"""GradEx: outcomes of all subsets from outputs and gradients at W0, without retraining (paper Algorithm 2)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kernelsm.estimators import gradex_ridge
from kernelsm.estimators.estimator import BlockWork, SuiteEstimator, task_weight_key
from kernelsm.estimators.gradex_cost import SolveCost, check_solve_fits, per_mask, solve_cost
from kernelsm.estimators.gradex_solver import LinearisedProblem
from kernelsm.gradients.features import GradientFeatures
from kernelsm.objectives.registry import find
from kernelsm.runtime.checks import check_number, check_whole
from kernelsm.runtime.chunked_work import ChunkedWork
from kernelsm.runtime.errors import ConvergenceError, InputError
from kernelsm.runtime.executors import Task
from kernelsm.runtime.store import ChunkKind, Store, content_hash
from kernelsm.tasks.suite import TaskSuite
from kernelsm.tasks.weighting import EQUALLY

BLOCK_CHUNKS = ChunkKind("gradex", version=3)
MEMORY_BUDGET = 768 * 2**20
# on the digits a subset takes 17 % longer in these than in blocks of 1,024, of which few cores would have one each
_LARGEST_BLOCK = 256


class GradEx(SuiteEstimator):
    """Estimates F(s) in the model linearised at W0.

    For each subset, minimise over Z the mean loss of f_W0(x) + <∇f_W0(x), Z> on the included tasks plus ridge/2 ‖Z‖²,
    then read the measures of each target in the same linear model. The mean is over tasks (paper eq. 1) or over their
    samples, as the suite's `task_weighting` says. The suite's objective says what the loss is:
    cross-entropy for classes. Features of the margin alone are linearised as such: the loss is log(1 + exp(-margin)),
    and right means that the true class has p above 1/2. The empty subset leaves the model at W0. The matching ground
    truth is `Retraining` with the same ridge and task weights.

    Parameters
    ----------
    suite : TaskSuite
    train, test : GradientFeatures
        Of the suite's training and test samples, through one projection.
    ridge : float
        λ > 0, the strength of the pull towards W0.
    task_weights : sequence of float, length K, optional
        Positive; included tasks weigh proportionally to them. By default as the suite's `task_weighting` says.
    tolerance : float
        Largest gradient norm at which a solution is accepted.
    block : int, optional
        Masks solved together; also the chunk that a resumed job repeats. None chooses as many as `budget` bytes hold,
        at most 256; the choice depends on n, Q, k and the budget alone, so that a later job finds the same chunks.
    budget : int
        Bytes that the masks of one block may take besides the features, when `block` is None.

    Raises
    ------
    InputError
        ridge or tolerance ≤ 0, weights that are not positive, features that are not finite or do not belong to the
        suite.

    Examples
    --------
    >>> import numpy as np
    >>> from kernelsm import GradEx, build_model, gradient_features
    >>> from kernelsm.examples.digits.suite import digits_suite
    >>> suite = digits_suite()
    >>> model = build_model("logistic", inputs=64, classes=10)
    >>> train = gradient_features(model, suite.inputs, suite.labels)
    >>> test = gradient_features(model, suite.test_inputs, suite.test_labels, outputs=train.outputs)
    >>> everything_and_nothing = np.array([[True] * suite.K, [False] * suite.K])
    >>> outcomes = GradEx(suite, train, test, ridge=1.0).outcomes(everything_and_nothing)
    >>> outcomes.mean_target().values.ravel().round(1).tolist()
    [2.2, 2.3]
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
        self.objective = find(suite)
        for place, features in (("train", train), ("test", test)):
            if features.objective != self.objective.name:
                found, fix = repr(features.objective), "Compute features of this suite, with its objective."
                raise InputError(f"{place}, objective", found, repr(self.objective.name), fix)
        self.linearisation = self.objective.linearisation(train.outputs)
        self._check_features("train", train, suite.labels)
        self._check_features("test", test, suite.test_labels)
        if train.meta != test.meta:
            raise InputError("test", f"{test.meta}", f"{train.meta}", "Use one model and one projection for both.")
        self.suite, self.train, self.test = suite, train, test
        self.ridge, self.tolerance = ridge, tolerance
        self.task_weights = task_weight_key(suite, task_weights)
        self.block = block or masks_at_once(train.features.shape, budget)

    def _work(self, store: Store | None) -> BlockWork:
        # hashing takes a second for large features, and is needed only where a store keeps the blocks
        features_hash = content_hash(*(vars(features) for features in (self.train, self.test))) if store else ""
        return BlockWork(
            ChunkedWork(self._task, BLOCK_CHUNKS, "GradEx"),
            key=(
                self.suite.content_hash, features_hash, self.ridge, self.task_weights, self.tolerance,
                self.measure_names,
            ),
            meta={
                "estimator": "gradex", "ridge": self.ridge, "tolerance": self.tolerance,
                "suite": self.suite.content_hash, **self.train.meta, **self.weighing(),
            },
        )  # fmt: skip

    def cost(self, masks: int) -> SolveCost:
        """Estimate the time of solving so many masks, and the memory beside the features, without starting it."""
        return solve_cost(
            self.train.features.shape, masks, tasks=self.suite.K, block=self.block,
            test_samples=len(self.test.features),
        )  # fmt: skip

    def _task(self) -> Task:
        """What blocks need is made once, and the features that it was made from are not sent along."""
        solver = copy.copy(self)
        solver.problem, solver._test_rows = self.problem, self._test_rows
        del solver.train, solver.test
        memory = self.block * per_mask(self.train.features.shape)
        return Task(solver._solve_block, in_threads=True, memory=memory)

    @cached_property
    def problem(self) -> LinearisedProblem | gradex_ridge.RidgeProblem:
        """The part that all solves share; built only when a block is not in the store.

        Where the loss is quadratic and the coordinates are few it is ridge regression in closed form.

        Raises
        ------
        InputError
            It takes more memory than is free.
        """
        check_solve_fits(self.train.features.shape, self.cost(self.block))
        offsets, features, labels = self._rows(self.train)
        targets = self.linearisation.targets(labels, offsets.shape[1])
        task_of = torch.from_numpy(self.suite.task_of)
        curvature = self.linearisation.loss.constant_curvature
        if curvature is not None and gradex_ridge.fits(features.shape, self.suite.K):
            return gradex_ridge.RidgeProblem(curvature, offsets, features, targets, task_of, self.ridge)
        equal = self.suite.task_weighting == EQUALLY and not self.task_weights
        full_set = None if equal else self.shares(np.ones((1, self.suite.K), dtype=np.bool_))[0]
        return LinearisedProblem(
            self.linearisation.loss, offsets, features, targets, task_of, self.ridge, full_set=full_set
        )

    @cached_property
    def _test_rows(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Test offsets (R, n, 1), features (R * n, k) and labels (n, ...)."""
        offsets, features, labels = self._rows(self.test)
        return offsets.T[..., None], features.transpose(0, 1).flatten(0, 1).contiguous(), labels

    def _rows(self, features: GradientFeatures) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Offsets (n, R), features (n, R, k) and labels (n, ...) of the linearisation."""
        labels, outputs = torch.tensor(features.labels), torch.tensor(features.model_outputs)
        gradients = self.linearisation.features(torch.tensor(features.features))
        return self.linearisation.offsets(outputs, labels), gradients, labels

    def shares(self, masks: NDArray[np.bool_]) -> torch.Tensor:
        """Share of each task in the training loss of each mask, shape (m, K); rows sum to 1, or to 0 if empty."""
        weights = self.suite.sample_weights(masks, self.task_weights)
        first = np.unique(self.suite.task_of, return_index=True)[1]
        sizes = np.bincount(self.suite.task_of, minlength=self.suite.K)
        return torch.from_numpy(weights[:, first] * sizes)

    def measure_at(self, z: torch.Tensor) -> NDArray[np.float64]:
        """All measures of each target in the linear model at Z (m, k), shape (m, measures, q)."""
        offsets, features, labels = self._test_rows
        outputs = offsets + (features @ z.T).reshape(*offsets.shape[:2], len(z))
        target_of = torch.from_numpy(self.suite.target_of)
        found = self.objective.measure(outputs, labels, target_of, len(self.suite.target_names), self.linearisation)
        return np.asarray(found.double().numpy())

    def _solve_block(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """All measures of one block of masks, shape (m, measures, q)."""
        solution = self.problem.solve(self.shares(masks), tolerance=self.tolerance)
        worst = float(solution.gradient_norm.max())
        if not worst <= 10 * self.tolerance:
            reached = f"a gradient norm of {worst:.1e} after {solution.passes} passes"
            fix = "Raise the ridge, or look for extreme values in the samples and the features."
            raise ConvergenceError("GradEx", reached, f"at most {self.tolerance:.0e}", fix)
        return self.measure_at(solution.z)

    def _check_features(self, place: str, features: GradientFeatures, labels: NDArray[Any]) -> None:
        fix, count = "Compute features of this suite.", len(labels)
        if len(features.model_outputs) != count:
            found = f"features of {len(features.model_outputs)} samples"
            raise InputError(place, found, f"{count}, as in the suite", fix)
        if not np.array_equal(features.labels, labels):
            raise InputError(f"{place}, labels", "other labels", "those of the suite", fix)
        width = self.linearisation.width(features.model_outputs.shape[1])
        if features.features.ndim != 3 or features.features.shape[:2] != (count, width):
            raise InputError(f"{place}, features", f"shape {features.features.shape}", f"({count}, {width}, k)", fix)
        for name in ("model_outputs", "features"):
            if not np.isfinite(getattr(features, name)).all():
                fix = "Check the model's weights and inputs."
                raise InputError(f"{place}, {name}", "values that are not finite", "finite numbers", fix)


def masks_at_once(shape: tuple[int, ...], budget: int) -> int:
    """Masks whose solve takes about `budget` bytes, for features of shape (n, Q, k); 1 to 256."""
    n, width, k = shape
    return max(1, min(_LARGEST_BLOCK, budget // per_mask((n, width, k))))
