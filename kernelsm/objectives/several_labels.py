"""Several labels at once: for each of C labels whether it applies, by a sigmoid of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.objectives.objective import Expansion, Linearisation, Measure, Objective, OutputLoss, group_means
from kernelsm.objectives.two_groups import OF_TWO_GROUPS, mean_auc, mean_f1
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import SEVERAL_LABELS

if TYPE_CHECKING:  # functions that need torch itself import it: pages ask for names and sizes without it
    from torch import Tensor


class SigmoidLoss(OutputLoss):
    """Sum over labels of log(1 + exp u) - t u, the cross-entropy of each by its own log-odds u."""

    # a probability that was 1e-9 may be anything after a longer step
    longest_step = 20.0

    def expand(self, outputs: Tensor, targets: Tensor) -> Expansion:
        """Slope p - t and curvature p (1 - p)."""
        probabilities = outputs.sigmoid()
        return Expansion(probabilities - targets, probabilities * (1 - probabilities))


class EveryLabel(Linearisation):
    """The log-odds of all C labels."""

    name = "log-odds"
    loss = SigmoidLoss()

    def targets(self, labels: Tensor, rows: int) -> Tensor:
        """1 where a label applies."""
        return labels.reshape(len(labels), rows)


class SeveralLabels(Objective):
    """Several labels, of which any number apply to a sample: the model gives the log-odds of each.

    The loss of a sample is -log of the probability of all its labels together, the sum of their cross-entropies, in
    nats; guessing costs 0.69 a label.

    Parameters
    ----------
    outputs : int
        Number of labels C. Labels of samples are 0 or 1, of shape (n, C).
    names : sequence of str, length C, optional
        What the labels are called.

    Raises
    ------
    InputError
        Not one name for each label.

    Examples
    --------
    >>> import torch
    >>> from kernelsm.objectives.several_labels import SeveralLabels
    >>> objective = SeveralLabels(2, names=["sport", "politics"])
    >>> labels = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    >>> log_odds = torch.tensor([[2.0, -1.0], [-1.0, -2.0], [3.0, -0.5]])
    >>> accuracy = objective.measure_headline(log_odds, labels)
    >>> f"{accuracy:.2f}"  # politics of the last text is missed
    '0.83'
    """

    name = SEVERAL_LABELS
    measures = (
        Measure("loss", "nats over all labels", higher_is_better=False),
        Measure("accuracy", "fraction", higher_is_better=True),
        *OF_TWO_GROUPS,
    )
    headline = "accuracy"
    linearisations = (EveryLabel(),)
    output_word = "log-odds"

    @classmethod
    def labels_in_words(cls, outputs: int) -> str:
        """How many labels."""
        return f"{outputs} labels, any number of which apply" if outputs > 1 else "one label, which applies or not"

    @classmethod
    def headline_in_words(cls, train: float, test: float) -> str:
        """How often it is right about a label."""
        return (
            f"is right about a label **{train:.0%}** of the time on the training and **{test:.0%}** on the test "
            "samples"
        )

    def __init__(self, outputs: int, *, names: Sequence[str] | None = None) -> None:
        super().__init__(outputs)
        self.names = tuple(names or ())
        if names is not None and len(self.names) != outputs:
            raise InputError("names", f"{len(self.names)} names", f"{outputs}", "Name each label.")

    @property
    def expected_outputs(self) -> str:
        """A number for each label."""
        return f"one number for each of {self.outputs} labels, its log-odds"

    def check_labels(self, labels: NDArray[Any], place: str) -> NDArray[np.float32]:
        """Return labels as float32, shape (n, C), or (n,) for one label.

        Raises
        ------
        InputError
            Another number of labels, or one that is neither 0 nor 1.
        """
        columns = 1 if labels.ndim == 1 else labels.shape[1] if labels.ndim == 2 else 0
        if columns != self.outputs:
            fix = "Give each sample a 0 or a 1 for each label."
            raise InputError(place, f"shape {labels.shape}", f"({len(labels)}, {self.outputs})", fix)
        wrong = np.argwhere((labels != 0) & (labels != 1))
        if len(wrong):
            found = f"label {labels[tuple(wrong[0])]}"
            fix = "Write 1 where the label applies and 0 where it does not."
            raise InputError(f"{place}, row {wrong[0][0]}", found, "0 or 1", fix)
        return labels.astype(np.float32, copy=False)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of each sample in nats, summed over its labels."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        truth = labels.reshape(outputs.shape).to(outputs)
        return binary_cross_entropy_with_logits(outputs, truth, reduction="none").sum(dim=-1)

    def measure(
        self, outputs: Tensor, labels: Tensor, group_of: Tensor, groups: int, linearisation: Linearisation
    ) -> Tensor:
        """Loss in nats, and accuracy, F1 and AUC of each label on its own, averaged over labels.

        F1 is 2 TP / (2 TP + FP + FN), 0 for a label that neither applies nor is predicted anywhere in the group. The
        AUC leaves out labels that apply to all samples of a group or to none, and is ½ where that is every label.
        """
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        truth = labels.to(outputs).reshape(len(labels), -1).T[..., None].expand_as(outputs)
        losses = binary_cross_entropy_with_logits(outputs, truth, reduction="none").sum(dim=0)
        said = (outputs > 0).to(outputs)
        right = (said == truth).to(outputs).mean(dim=0)
        means = group_means(torch.stack([losses, right], dim=1), group_of, groups)
        f1 = mean_f1(said, truth, group_of, groups, of_absent=0.0)
        return torch.stack([means[:, 0], means[:, 1], f1, mean_auc(outputs, truth, group_of, groups)], dim=1)
