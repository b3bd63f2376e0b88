"""Policies that learn from their own actions: what did better than expected becomes likelier, and the rest less so.

A network gives the mean μ of a Gaussian over actions, whose deviation σ is fixed. Each sample is an action a that the
policy W0 took, with its advantage Â: how much more reward followed than usual. With the log-ratio of the new policy
to W0, u = log π(a) - log π_W0(a), the loss is |Â| log(1 + exp(-sign(Â) u)). GradEx linearises u, which is 0 at W0:
the estimate of policy gradients of Zhang et al., "Scalable multi-objective and meta reinforcement learning via
gradient estimation" (2026).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from kernelsm.objectives.objective import Expansion, Linearisation, Measure, Objective, OutputLoss, group_means
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import POLICY

if TYPE_CHECKING:  # functions that need torch itself import it: pages ask for names and sizes without it
    from torch import Tensor

    from kernelsm.tasks.suite import TaskSuite

BESIDE_THE_ACTION = 3
"""Columns of labels after those of the action: σ, log π_W0(a) without its constant, Â."""


class WeightedLogistic(OutputLoss):
    """|t| log(1 + exp(-sign(t) u)), of log-ratios u and advantages t."""

    longest_step = 20.0

    def expand(self, outputs: Tensor, targets: Tensor) -> Expansion:
        """Slope -t p and curvature |t| p (1 - p), p the share that is still to be won."""
        left = (-targets.sign() * outputs).sigmoid()
        return Expansion(-targets * left, targets.abs() * left * (1 - left))


class LogRatio(Linearisation):
    """log π(a) - log π_W0(a), one number for each sample."""

    name = "log-ratio"
    uses_labels = True
    loss = WeightedLogistic()

    def width(self, outputs: int) -> int:
        """One number, however many numbers an action has."""
        return 1

    def differentiated(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The log-density of the action, but for its constant, at least in single precision."""
        found = log_density(outputs.float() if outputs.dtype.itemsize < 4 else outputs, labels)
        return found[..., None]

    def offsets(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The log-ratio: 0 at W0."""
        return (log_density(outputs, labels) - labels[..., -2].to(outputs))[..., None]

    def targets(self, labels: Tensor, rows: int) -> Tensor:
        """The advantages."""
        return labels[:, -1:].expand(-1, rows)


def log_density(means: Tensor, labels: Tensor) -> Tensor:
    """Return -‖a - μ‖² / 2σ², shape (..., n), of means (..., n, a) and labels (..., n, a + 3)."""
    labels = labels.to(means)
    away = (labels[..., :-BESIDE_THE_ACTION] - means) / labels[..., -3:-2]
    return -away.square().sum(dim=-1) / 2


class PolicyGradient(Objective):
    """Actions that a policy took, weighed by their advantages.

    Parameters
    ----------
    outputs : int
        Numbers a of an action. Labels are float32, shape (n, a + 3): the action, the deviation σ of the noise it was
        drawn with, -‖a - μ‖² / 2σ² at W0, and its advantage, standardised within a task.

    Examples
    --------
    >>> import torch
    >>> from kernelsm.objectives.policy import PolicyGradient
    >>> objective = PolicyGradient(1)
    >>> labels = torch.tensor([[0.5, 1.0, -0.125, 2.0]])  # W0 has a mean of 0, took 0.5, and did well
    >>> at_w0, nearer = torch.tensor([[0.0]]), torch.tensor([[0.5]])
    >>> bool(objective.loss(nearer, labels) < objective.loss(at_w0, labels))
    True
    """

    name = POLICY
    measures = (
        Measure("loss", "weighted nats", higher_is_better=False),
        Measure("gain", "standardised advantage", higher_is_better=True),
    )
    headline = "gain"
    linearisations = (LogRatio(),)
    output_word = "means of actions"

    @classmethod
    def of(cls, suite: TaskSuite) -> Self:
        """Return the objective of a suite: an output for each number of an action."""
        return cls(int(suite.labels.shape[1]) - BESIDE_THE_ACTION, **suite.objective_settings)

    @classmethod
    def labels_in_words(cls, outputs: int) -> str:
        """What is learned from."""
        return "actions and their advantages"

    @property
    def expected_outputs(self) -> str:
        """The mean of each number of an action."""
        return f"the means of {self.outputs} numbers of an action"

    def check_labels(self, labels: NDArray[Any], place: str) -> NDArray[np.float32]:
        """Return labels as float32.

        Raises
        ------
        InputError
            Another number of columns, or a deviation that is not above 0.
        """
        width = self.outputs + BESIDE_THE_ACTION
        if labels.ndim != 2 or labels.shape[1] != width:
            fix = "Give the action, its deviation, its log-density at W0 and its advantage."
            raise InputError(place, f"shape {labels.shape}", f"({len(labels)}, {width})", fix)
        if len(wrong := np.flatnonzero(labels[:, -3] <= 0)):
            fix = "Say with which noise the action was drawn."
            raise InputError(f"{place}, row {wrong[0]}", f"a deviation of {labels[wrong[0], -3]:g}", "above 0", fix)
        return labels.astype(np.float32, copy=False)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """|Â| log(1 + exp(-sign(Â) u)) of each sample."""
        return _losses(LogRatio().offsets(outputs, labels).squeeze(-1), labels[..., -1].to(outputs))

    def measure(
        self, outputs: Tensor, labels: Tensor, group_of: Tensor, groups: int, linearisation: Linearisation
    ) -> Tensor:
        """Mean loss, and the mean of Â u: how much likelier what did well has become, weighed by how well."""
        import torch

        ratios = outputs[0]
        advantages = labels[:, -1:].to(ratios)
        return group_means(torch.stack([_losses(ratios, advantages), advantages * ratios], dim=1), group_of, groups)


def _losses(ratios: Tensor, advantages: Tensor) -> Tensor:
    from torch.nn.functional import softplus

    return advantages.abs() * softplus(-advantages.sign() * ratios)
