"""TaskSuite: training samples grouped into K tasks, test samples grouped into q targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import content_hash
from kernelsm.tasks.labels import check_labels
from kernelsm.tasks.weighting import EQUALLY, GroupSizes, Weighting, check_weighting

CLASSIFICATION = "classification"
"""The objective of suites that do not name one."""
REGRESSION = "regression"
"""The objective of suites whose labels are quantities."""
SEVERAL_LABELS = "several labels"
"""The objective of suites of which several labels at once may apply to a sample."""
NEXT_TOKENS = "next tokens"
"""The objective of suites of text that a language model continues."""
POLICY = "policy gradient"
"""The objective of suites of actions that a policy took, and of what came of them."""


@dataclass(frozen=True, eq=False)
class TaskSuite:
    """Labelled samples, grouped, and what a model is trained on with them.

    Parameters
    ----------
    inputs : ndarray of float32 or int64, shape (n, ...)
        Training inputs; whole numbers are tokens.
    labels : ndarray, shape (n,) or (n, ...)
        Of each training sample. Classes are int64, 0..classes-1; other objectives have numbers.
    task_of : ndarray of int64, shape (n,)
        Task of each training sample, an index into `task_names`.
    test_inputs, test_labels, target_of : ndarray
        The same for the test samples; `target_of` indexes `target_names`.
    task_names, target_names : tuple of str
        Names of the K tasks and q targets.
    classes : int
        Number of classes C; 0 where labels are not classes.
    meta : dict
        Where the samples come from; JSON types only.
    objective : str
        What a model is trained on and measured by: the name of one of `kernelsm.objectives`.
    objective_settings : dict
        What the objective needs to know besides the labels; JSON types only.
    task_weighting : {"equally", "by_size"}
        How tasks are weighed wherever a model is trained on them: each task the same (the paper's eq. 1), or each
        sample the same, which is pooled training.
    target_weighting : {"equally", "by_size"}
        How targets are weighed in the mean over targets: each target the same, or each test sample.

    Raises
    ------
    InputError
        Lengths differ, an index or label is out of range or not finite, a task or target has no sample, or an unknown
        weighting.

    Examples
    --------
    >>> import numpy as np
    >>> from kernelsm import TaskSuite
    >>> suite = TaskSuite(
    ...     inputs=np.eye(4, dtype=np.float32), labels=np.array([0, 1, 0, 1]), task_of=np.array([0, 0, 1, 1]),
    ...     test_inputs=np.eye(4, dtype=np.float32)[:2], test_labels=np.array([0, 1]), target_of=np.array([0, 0]),
    ...     task_names=("reviews", "tweets"), target_names=("test",), classes=2,
    ... )
    >>> suite.K
    2
    """

    inputs: NDArray[np.float32] | NDArray[np.int64]
    labels: NDArray[Any]
    task_of: NDArray[np.int64]
    test_inputs: NDArray[np.float32] | NDArray[np.int64]
    test_labels: NDArray[Any]
    target_of: NDArray[np.int64]
    task_names: tuple[str, ...]
    target_names: tuple[str, ...]
    classes: int = 0
    meta: dict[str, Any] = field(default_factory=dict)
    objective: str = CLASSIFICATION
    objective_settings: dict[str, Any] = field(default_factory=dict)
    task_weighting: Weighting = EQUALLY
    target_weighting: Weighting = EQUALLY

    def __post_init__(self) -> None:
        check_groups("task_of", self.task_of, self.task_names, len(self.inputs))
        check_groups("target_of", self.target_of, self.target_names, len(self.test_inputs))
        if self.objective == CLASSIFICATION and self.classes < 1:
            raise InputError("classes", f"{self.classes}", "the number of classes", "Labels are 0..classes-1.")
        check_labels("labels", self.labels, len(self.inputs), self.classes)
        check_labels("test_labels", self.test_labels, len(self.test_inputs), self.classes)
        check_weighting("task_weighting", self.task_weighting)
        check_weighting("target_weighting", self.target_weighting)

    @property
    def K(self) -> int:  # noqa: N802 - the field's sign for the number of tasks
        """Number of tasks."""
        return len(self.task_names)

    @cached_property
    def tasks(self) -> GroupSizes:
        """The tasks with their numbers of training samples, and how they are weighed."""
        sizes = np.bincount(self.task_of, minlength=self.K).tolist()
        return GroupSizes(tuple(self.task_names), tuple(sizes), self.task_weighting)

    @cached_property
    def targets(self) -> GroupSizes:
        """The targets with their numbers of test samples, and how they are weighed."""
        sizes = np.bincount(self.target_of, minlength=len(self.target_names)).tolist()
        return GroupSizes(tuple(self.target_names), tuple(sizes), self.target_weighting)

    @cached_property
    def content_hash(self) -> str:
        """Forty hex digits that depend on everything except `meta`."""
        arrays = (self.inputs, self.labels, self.task_of, self.test_inputs, self.test_labels, self.target_of)
        # joblib distinguishes arrays by their strides, and one tuple passed twice from two equal tuples
        names = ((*self.task_names,), (*self.target_names,))
        # a suite of classes keeps the hash that it had when there was no other objective
        other: tuple[Any, ...] = ()
        if self.objective != CLASSIFICATION:
            other = (self.objective, self.objective_settings)
        # and one that weighs tasks and targets equally the hash that it had when there was no other weighting
        if (self.task_weighting, self.target_weighting) != (EQUALLY, EQUALLY):
            other = (*other, {"tasks": self.task_weighting, "targets": self.target_weighting})
        return content_hash(*(np.ascontiguousarray(array) for array in arrays), *names, self.classes, *other)

    def sample_weights(
        self, masks: NDArray[np.bool_], task_weights: Sequence[float] | None = None
    ) -> NDArray[np.float32]:
        """Weight of each training sample in the training loss of each subset.

        Included tasks weigh proportionally to `task_weights`, and the samples within one weigh the same: the weights
        of a subset sum to 1, those of the empty subset to 0. Without `task_weights` it is as `task_weighting` says:
        tasks weigh the same (paper eq. 1), or all samples of the included tasks do.

        Parameters
        ----------
        masks : ndarray of bool, shape (m, K)
        task_weights : sequence of float, length K, optional
            Positive and finite; only their ratios count.

        Returns
        -------
        ndarray of float32, shape (m, n)

        Raises
        ------
        InputError
            Not one positive, finite weight per task.

        Examples
        --------
        >>> import numpy as np
        >>> from kernelsm import TaskSuite
        >>> suite = TaskSuite(
        ...     inputs=np.eye(3, dtype=np.float32), labels=np.array([0, 1, 0]), task_of=np.array([0, 0, 1]),
        ...     test_inputs=np.eye(3, dtype=np.float32)[:1], test_labels=np.array([0]), target_of=np.array([0]),
        ...     task_names=("reviews", "tweets"), target_names=("test",), classes=2,
        ... )
        >>> suite.sample_weights(np.array([[True, True], [True, False]])).tolist()
        [[0.25, 0.25, 0.5], [0.5, 0.5, 0.0]]
        >>> from dataclasses import replace
        >>> pooled = replace(suite, task_weighting="by_size")
        >>> pooled.sample_weights(np.array([[True, True], [True, False]])).tolist()
        [[0.33..., 0.33..., 0.33...], [0.5, 0.5, 0.0]]
        """
        own = self.tasks.shares(self.task_weighting)
        weights = own if task_weights is None else np.asarray(task_weights, dtype=np.float64)
        if weights.shape != (self.K,):
            raise InputError("task_weights", f"shape {weights.shape}", f"({self.K},)", "Give one weight per task.")
        wrong = np.flatnonzero(~((weights > 0) & np.isfinite(weights)))
        if len(wrong):
            place = f"task_weights, {self.task_names[wrong[0]]!r}"
            fix = "Leave a task out by its mask, not by its weight."
            raise InputError(place, f"{weights[wrong[0]]}", "a finite number above 0", fix)
        included = masks * (weights / weights.max())
        total = included.sum(axis=1, keepdims=True)
        per_task = included / np.where(total > 0, total, 1.0)
        per_sample = per_task / np.array(self.tasks.sizes)
        return np.asarray(per_sample[:, self.task_of], dtype=np.float32)


def check_groups(place: str, group: NDArray[np.int64], names: Sequence[str], length: int) -> None:
    """Refuse groups of samples that are not one index into `names` for each of `length` samples, each with a sample.

    Raises
    ------
    InputError
        Names `place`.
    """
    if group.shape != (length,):
        raise InputError(place, f"shape {group.shape}", f"({length},)", "Give one group per sample.")
    if len(group) and (group.min() < 0 or group.max() >= len(names)):
        found = f"group {group.min() if group.min() < 0 else group.max()}"
        raise InputError(place, found, f"0..{len(names) - 1}", "Name every group.")
    empty = np.flatnonzero(np.bincount(group, minlength=len(names)) == 0)
    if len(empty):
        raise InputError(place, f"no sample of {names[empty[0]]!r}", "at least one", "Drop the empty group.")
