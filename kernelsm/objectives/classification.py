"""Classification: the softmax cross-entropy of one of C classes.

GradEx knows it in two forms. With every logit linearised, the last class is the reference: the numbers u are the R =
C - 1 logits of the others less its own, and the loss is log(1 + Σ exp u) - u_y. With the margin linearised, the
log-odds of the true class, it is log(1 + exp(-u)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.objectives.objective import (
    Expansion,
    Linearisation,
    Measure,
    Objective,
    OutputLoss,
    RestrictedLoss,
    group_means,
)
from kernelsm.objectives.two_groups import OF_TWO_GROUPS, mean_auc, mean_f1
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.labels import check_classes

if TYPE_CHECKING:  # functions that need torch itself import it: pages ask for names and sizes without it
    from torch import Tensor


class SoftmaxLoss(OutputLoss):
    """Cross-entropy of R classes by their logits u, and of a reference class whose logit is 0.

    Targets are 1 for the true class and 0 for others: all 0 where the reference is the true one.
    """

    # a probability that was 1e-9 may be anything after a longer step
    longest_step = 20.0

    def expand(self, outputs: Tensor, targets: Tensor) -> Expansion:
        """Slope p - t and curvature diag(p) - p pᵀ."""
        highest = outputs.amax(dim=0).clamp_(min=0)
        exponentials = (outputs - highest).exp_()
        probabilities = exponentials.div_(exponentials.sum(dim=0).add_(highest.neg_().exp_()))
        return Expansion(probabilities - targets, probabilities, probabilities)

    def restrict(self, outputs: Tensor, targets: Tensor, rows: Tensor) -> RestrictedLoss:
        """Return the loss of some logits; the share of the others in each sample's normaliser stays."""
        sample = rows % outputs.shape[1]
        highest = outputs.amax(dim=0).clamp_(min=0)
        whole = (outputs - highest).exp_().sum(dim=0) + (-highest).exp()
        chosen = (outputs.flatten(0, 1)[rows] - highest[sample]).exp_()
        others = (whole - whole.new_zeros(whole.shape).index_add_(0, sample, chosen)).clamp_(min=0)
        return _SoftmaxOfRows(targets.flatten(0, 1)[rows], sample, highest, others)


@dataclass(frozen=True)
class _SoftmaxOfRows:
    """Some logits of some samples.

    Parameters
    ----------
    targets : Tensor, shape (rows, 1)
    sample : Tensor of int64, shape (rows,)
    highest, others : Tensor, shape (n, m)
        The scale of each sample's exponentials, and the sum of those of its other logits in that scale.
    """

    targets: Tensor
    sample: Tensor
    highest: Tensor
    others: Tensor

    def expand(self, outputs: Tensor) -> Expansion:
        exponentials = (outputs - self.highest[self.sample]).exp_()
        total = self.others.index_add(0, self.sample, exponentials)
        probabilities = exponentials.div_(total[self.sample])
        return Expansion(probabilities - self.targets, probabilities, probabilities)

    def of_models(self, models: Tensor) -> RestrictedLoss:
        return _SoftmaxOfRows(self.targets, self.sample, self.highest[:, models], self.others[:, models])


class EveryLogit(Linearisation):
    """All C logits, the last class as the reference."""

    name = "logits"
    loss = SoftmaxLoss()

    def offsets(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Logits of all classes but the last, less that of the last."""
        return outputs[..., :-1] - outputs[..., -1:]

    def features(self, gradients: Tensor) -> Tensor:
        """Gradients of these differences."""
        return gradients[:, :-1] - gradients[:, -1:]

    def targets(self, labels: Tensor, rows: int) -> Tensor:
        """1 for the true class."""
        import torch

        return labels[:, None] == torch.arange(rows)


class Margin(Linearisation):
    """The log-odds of the true class alone: two classes, of which the true one comes first and the others are one."""

    name = "margin"
    uses_labels = True
    loss = SoftmaxLoss()

    def width(self, outputs: int) -> int:
        """One number, however many classes."""
        return 1

    def differentiated(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The margin of each sample, at least in single precision."""
        # differences of logits in half precision would be too coarse to differentiate
        return margin(outputs.float() if outputs.dtype.itemsize < 4 else outputs, labels)[:, None]

    def offsets(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The margin of each sample."""
        return margin(outputs, labels)[:, None]

    def targets(self, labels: Tensor, rows: int) -> Tensor:
        """1: the true class comes first."""
        return labels.new_ones((len(labels), rows))


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-odds of the true class, log p_y - log(1 - p_y), from logits (n, C) and classes (n,); shape (n,).

    The loss is log(1 + exp(-margin)).
    """
    true = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.scatter(1, labels[:, None], float("-inf"))
    return true - others.logsumexp(dim=1)


class Classification(Objective):
    """One of C classes: the model gives logits, and its loss is -log p_y in nats.

    Parameters
    ----------
    outputs : int
        Number of classes C. Labels are 0..C-1.
    """

    name = "classification"
    measures = (
        Measure("loss", "nats", higher_is_better=False),
        Measure("accuracy", "fraction", higher_is_better=True),
        Measure("margin", "log-odds", higher_is_better=True),
    )
    headline = "accuracy"
    linearisations = (EveryLogit(), Margin())
    output_word = "logits"

    @classmethod
    def measures_for(cls, outputs: int) -> tuple[Measure, ...]:
        """Of two classes, F1 and AUC as well."""
        return (*cls.measures, *OF_TWO_GROUPS) if outputs == 2 else cls.measures

    @classmethod
    def labels_in_words(cls, outputs: int) -> str:
        """How many classes."""
        return f"{outputs} classes"

    @classmethod
    def headline_in_words(cls, train: float, test: float) -> str:
        """How often it is right."""
        return f"is right on **{train:.0%}** of the training and **{test:.0%}** of the test samples"

    @classmethod
    def is_guessing(cls, headline: float, outputs: int) -> bool:
        """Right less than 1.2 times as often as a guess among the classes."""
        return headline < 1.2 / outputs

    @property
    def expected_outputs(self) -> str:
        """A logit for each class."""
        return f"one number for each of {self.outputs} classes"

    def check_outputs(self, count: int, place: str) -> None:
        """Refuse another number of logits than classes, and one logit alone.

        Raises
        ------
        InputError
            Names `place`.
        """
        if count == 1 and self.outputs <= 2:
            fix = "A model of two classes with one logit z returns [0, z] for each sample."
            raise InputError(place, "one logit for each sample", "two or more, one per class", fix)
        super().check_outputs(count, place)

    def check_labels(self, labels: NDArray[Any], place: str) -> NDArray[np.int64]:
        """Return classes as int64, shape (n,).

        Raises
        ------
        InputError
            Labels that are no whole numbers, of two axes, or out of range.
        """
        if labels.ndim != 1:
            fix = "Give the class of each sample as a number; argmax(axis=1) turns one-hot rows into classes."
            raise InputError(place, f"shape {labels.shape}", f"({len(labels)},)", fix)
        if not np.issubdtype(labels.dtype, np.integer):
            raise InputError(place, f"type {labels.dtype}", "whole numbers", "Number the classes from 0.")
        check_classes(place, labels, self.outputs)
        return labels.astype(np.int64, copy=False)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of each sample in nats."""
        from torch.nn.functional import cross_entropy

        losses = cross_entropy(outputs.flatten(0, -2), labels.flatten(), reduction="none")
        return losses.reshape(labels.shape)

    def measure(
        self, outputs: Tensor, labels: Tensor, group_of: Tensor, groups: int, linearisation: Linearisation
    ) -> Tensor:
        """Means over samples: cross-entropy in nats, being right, and the margin log p_y - log(1 - p_y).

        Right means that the true class is more probable than each other one. Where the margin alone is known it
        means p_y > 1/2, which is less often so.

        Of two classes F1 and AUC follow. F1 is the mean over classes, those that no sample of a group has and that
        are said of none left out. The AUC is the same for either class, and ½ in a group that has one class alone.
        """
        import torch
        from torch.nn.functional import softplus

        classes = torch.zeros_like(labels) if linearisation.name == Margin.name else labels
        logits = torch.cat([outputs, torch.zeros_like(outputs[:1])])
        true_class = classes[None, :, None].expand(1, -1, logits.shape[2])
        true = logits.gather(0, true_class).squeeze(0)
        others = logits.scatter(0, true_class, float("-inf"))
        margins = true - others.logsumexp(dim=0)
        right = (true > others.amax(dim=0)).to(logits)
        means = group_means(torch.stack([softplus(-margins), right, margins], dim=1), group_of, groups)
        if self.outputs != 2:
            return means
        second = (labels == 1)[:, None]
        log_odds = torch.where(second, margins, -margins)
        said, truth = (log_odds > 0).to(logits), second.to(logits).expand_as(log_odds)
        both = (torch.stack([said, 1 - said]), torch.stack([truth, 1 - truth]))
        f1 = mean_f1(*both, group_of, groups)
        area = mean_auc(log_odds[None], truth[None], group_of, groups)
        return torch.cat([means, torch.stack([f1, area], dim=1)], dim=1)
