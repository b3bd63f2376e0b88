"""An objective of the tests' own: quantities and their squared error, as anyone could write one."""

import numpy as np
import torch

from kernelsm import InputError
from kernelsm.objectives.objective import Expansion, Linearisation, Measure, Objective, OutputLoss, group_means
from kernelsm.objectives.registry import register


class SquaredLoss(OutputLoss):
    def expand(self, outputs, targets):
        return Expansion(outputs - targets, torch.ones_like(outputs))


class Quantities(Linearisation):
    name = "quantities"
    loss = SquaredLoss()

    def targets(self, labels, rows):
        return labels.reshape(len(labels), rows)


@register
class SquaredError(Objective):
    """½ Σ_r (f_r - y_r)², in squared units of the labels, which `unit` names."""

    name = "squared error of the tests"
    measures = (
        Measure("loss", "half squares", higher_is_better=False),
        Measure("R²", "fraction", higher_is_better=True),
        Measure("bias", "units", higher_is_better=False),
    )
    headline = "R²"
    linearisations = (Quantities(),)

    def __init__(self, outputs, *, unit="units"):
        super().__init__(outputs)
        self.unit = unit

    @property
    def expected_outputs(self):
        return f"{self.outputs} quantities"

    def check_labels(self, labels, place):
        wrong = np.flatnonzero(np.abs(labels).reshape(len(labels), -1).max(axis=1) > 1e3)
        if len(wrong):
            raise InputError(f"{place}, row {wrong[0]}", "a large number", "numbers of about 1", "Standardise them.")
        return labels.astype(np.float32, copy=False)

    def loss(self, outputs, labels):
        return (outputs - labels.reshape(*outputs.shape)).square().sum(dim=-1) / 2

    def measure(self, outputs, labels, group_of, groups, linearisation):
        truth = labels.to(outputs).reshape(len(labels), -1).T[..., None]
        error = outputs - truth
        samples = torch.stack([error.square().sum(dim=0) / 2, error.mean(dim=0)], dim=1)
        means = group_means(samples, group_of, groups)
        # a measure that is no mean over samples: 1 - squared error / variance within the group
        one = truth.new_ones((len(labels), 1, 1))
        centre = group_means(truth.transpose(0, 1), group_of, groups)[0, :, group_of]
        spread = group_means(one * (truth[..., 0] - centre).square().sum(dim=0)[:, None, None], group_of, groups)
        return torch.stack([means[:, 0], 1 - 2 * means[:, 0] / spread[:, 0], means[:, 1]], dim=1)
