"""Next tokens: how surprised a language model is by a text, in nats for each token of it.

The model gives one number for each sample, the mean log-probability log p̄ of the tokens that are scored: all of a
text, or those of an answer after its prompt. p̄ is their geometric mean probability, and the loss is -log p̄.

GradEx linearises the log-odds of p̄, the margin log p̄ - log(1 - p̄), of which the loss is log(1 + exp(-margin)): it is
convex, and never below 0 however far weights move. It is the form that fine-tuned language models were estimated with
in Li et al., "Scalable fine-tuning from multiple data sources" (2024). The log-probability itself may be linearised
instead; its loss has no curvature, and what GradEx finds is one step of gradient descent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.objectives.classification import SoftmaxLoss
from kernelsm.objectives.objective import Expansion, Linearisation, Measure, Objective, OutputLoss, group_means
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import NEXT_TOKENS

if TYPE_CHECKING:  # functions that need torch itself import it: pages ask for names and sizes without it
    from torch import Tensor


class TokenMargin(Linearisation):
    """The log-odds of the geometric mean probability of the scored tokens."""

    name = "margin"
    loss = SoftmaxLoss()

    def differentiated(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The margin of each sample, at least in single precision."""
        return log_odds(outputs.float() if outputs.dtype.itemsize < 4 else outputs)

    def offsets(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The margin of each sample."""
        return log_odds(outputs)

    def targets(self, labels: Tensor, rows: int) -> Tensor:
        """1: the tokens are what they are."""
        return labels.new_ones((len(labels), rows))


class Surprise(OutputLoss):
    """-u, for log-probabilities u."""

    constant_slope = -1.0

    def expand(self, outputs: Tensor, targets: Tensor) -> Expansion:
        """Slope -1 and no curvature."""
        import torch

        return Expansion(torch.full_like(outputs, self.constant_slope), torch.zeros_like(outputs))


class LogProbability(Linearisation):
    """The mean log-probability of the scored tokens."""

    name = "log-probability"
    loss = Surprise()

    def targets(self, labels: Tensor, rows: int) -> Tensor:
        """Not looked at."""
        return labels.new_zeros((len(labels), rows))


def log_odds(log_probability: Tensor) -> Tensor:
    """Return log p - log(1 - p) from log p, which is below 0; of any shape.

    Probabilities within rounding of 1 count as the largest below it.
    """
    import torch

    largest = -torch.finfo(log_probability.dtype).eps
    below = log_probability.clamp(max=largest)
    return below - torch.log(-torch.expm1(below))


class NextTokens(Objective):
    """Text that a language model continues: the loss is the mean of -log p over the scored tokens, in nats.

    `kernelsm.models.causal_text.CausalText` makes a network of such outputs, and `text_suite` the samples.

    Parameters
    ----------
    outputs : int
        1: the mean log-probability of each sample. Labels are the numbers of tokens that are scored, int64, (n,).

    Examples
    --------
    >>> import torch
    >>> from kernelsm.objectives.causal_lm import NextTokens
    >>> objective = NextTokens(1)
    >>> outputs = torch.tensor([[[-1.0], [-3.0]]])  # one model, two samples
    >>> found = objective.measure_model(outputs, torch.tensor([5, 9]), torch.zeros(2, dtype=torch.int64), 1)
    >>> for measure, value in zip(objective.measures, found[0, :, 0], strict=True):
    ...     print(f"{measure.name}: {value:.3f} {measure.unit}")
    loss: 2.000 nats a token
    perplexity: 7.389 tokens
    margin: -1.745 log-odds
    """

    name = NEXT_TOKENS
    measures = (
        Measure("loss", "nats a token", higher_is_better=False),
        Measure("perplexity", "tokens", higher_is_better=False),
        Measure("margin", "log-odds", higher_is_better=True),
    )
    headline = "perplexity"
    linearisations = (TokenMargin(), LogProbability())
    output_word = "log-probabilities"

    def __init__(self, outputs: int = 1) -> None:
        super().__init__(outputs)
        if outputs != 1:
            fix = "Return the mean log-probability of each sample's scored tokens."
            raise InputError("outputs", f"{outputs}", "1", fix)

    @classmethod
    def labels_in_words(cls, outputs: int) -> str:
        """What is scored."""
        return "text that follows"

    @property
    def expected_outputs(self) -> str:
        """One number."""
        return "one number, the mean log-probability of the tokens that are scored"

    def check_labels(self, labels: NDArray[Any], place: str) -> NDArray[np.int64]:
        """Return the numbers of scored tokens as int64, shape (n,).

        Raises
        ------
        InputError
            Labels that are no whole numbers above 0.
        """
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            found = f"shape {labels.shape} of {labels.dtype}"
            fix = "Give the number of tokens that are scored in each sample."
            raise InputError(place, found, f"whole numbers, ({len(labels)},)", fix)
        if len(wrong := np.flatnonzero(labels < 1)):
            fix = "Leave the sample out: there is nothing to predict in it."
            raise InputError(f"{place}, row {wrong[0]}", "no token that is scored", "one or more", fix)
        return labels.astype(np.int64, copy=False)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """-log p̄ of each sample, in nats a token."""
        return -outputs.squeeze(-1)

    def measure(
        self, outputs: Tensor, labels: Tensor, group_of: Tensor, groups: int, linearisation: Linearisation
    ) -> Tensor:
        """Mean loss of the samples, each counting the same, its exponential, and the mean margin."""
        import torch
        from torch.nn.functional import logsigmoid

        numbers = outputs[0]
        margins = numbers if linearisation.name == TokenMargin.name else log_odds(numbers)
        losses = -logsigmoid(margins) if linearisation.name == TokenMargin.name else -numbers
        means = group_means(torch.stack([losses, margins], dim=1), group_of, groups)
        return torch.stack([means[:, 0], means[:, 0].exp(), means[:, 1]], dim=1)
