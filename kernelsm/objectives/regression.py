"""Regression: the squared error of one or several quantities, in units of their own spread.

The model gives standardised quantities, (label - mean) / standard deviation of the training samples, so that networks
of usual size learn them and a loss means the same whatever the label is measured in. The loss is quadratic in the
outputs: GradEx is ridge regression, which `estimators/gradex_ridge.py` solves in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.objectives.objective import Expansion, Linearisation, Measure, Objective, OutputLoss, group_means
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import REGRESSION

if TYPE_CHECKING:  # functions that need torch itself import it: pages ask for names and sizes without it
    from torch import Tensor


class SquaredLoss(OutputLoss):
    """Sum over outputs of (u - t)²."""

    constant_curvature = 2.0

    def expand(self, outputs: Tensor, targets: Tensor) -> Expansion:
        """Slope 2 (u - t) and curvature 2."""
        import torch

        return Expansion(self.constant_curvature * (outputs - targets), torch.full_like(outputs, 2.0))


class EveryQuantity(Linearisation):
    """All C standardised quantities."""

    name = "quantities"
    loss = SquaredLoss()

    def targets(self, labels: Tensor, rows: int) -> Tensor:
        """The standardised labels."""
        return labels.reshape(len(labels), rows)


class Regression(Objective):
    """One or several quantities: the loss is the squared error in units of each label's variance.

    Always predicting the mean of the training samples costs about 1 for each quantity, so that 1 - loss is near the
    R² of one quantity. The errors of several quantities are added up in the loss. `standardised` of
    `kernelsm.tasks.label_values` makes labels and settings.

    Parameters
    ----------
    outputs : int
        Number of quantities C. Labels are float32, standardised, of shape (n,) for one quantity or (n, C).
    centre, scale : sequence of float, length C, optional
        Mean and standard deviation of each label, as the user gave it, over the training samples; the errors are told
        in the user's units by them. By default 0 and 1.
    names : sequence of str, length C, optional
        What the quantities are called.

    Raises
    ------
    InputError
        Not one number and name for each quantity, or a scale that is not above 0.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from kernelsm.objectives.regression import Regression
    >>> objective = Regression(1, centre=[150.0], scale=[80.0], names=["progression"])
    >>> labels = torch.tensor([-1.0, 0.0, 1.0])
    >>> one_model = torch.zeros(1, 3, 1)  # which predicts the mean of all three
    >>> found = objective.measure_model(one_model, labels, torch.zeros(3, dtype=torch.int64), 1)
    >>> for measure, value in zip(objective.measures, found[0, :, 0], strict=True):
    ...     print(f"{measure.name}: {value:.2f} {measure.unit}")
    loss: 0.67 label variances
    R²: 0.00 fraction of variance
    absolute error: 53.33 label units
    squared error: 4266.67 squared label units
    """

    name = REGRESSION
    measures = (
        Measure("loss", "label variances", higher_is_better=False),
        Measure("R²", "fraction of variance", higher_is_better=True),
        Measure("absolute error", "label units", higher_is_better=False),
        Measure("squared error", "squared label units", higher_is_better=False),
    )
    headline = "R²"
    linearisations = (EveryQuantity(),)
    output_word = "predictions"

    @classmethod
    def labels_in_words(cls, outputs: int) -> str:
        """How many quantities."""
        return f"{outputs} quantities" if outputs > 1 else "one quantity"

    @classmethod
    def headline_in_words(cls, train: float, test: float) -> str:
        """What share of the labels' variance it explains."""
        return (
            f"explains **{train:.0%}** of the label's variance (R²) on the training and **{test:.0%}** on the test "
            "samples"
        )

    @classmethod
    def is_guessing(cls, headline: float, outputs: int) -> bool:
        """Explains hardly more than always predicting the mean."""
        return headline < 0.02

    def __init__(
        self,
        outputs: int,
        *,
        centre: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(outputs)
        self.centre = _numbers("centre", [0.0] * outputs if centre is None else centre, outputs)
        self.scale = _numbers("scale", [1.0] * outputs if scale is None else scale, outputs)
        if (self.scale <= 0).any():
            fix = "Leave out a quantity that never changes."
            raise InputError("scale", f"{self.scale.min():g}", "standard deviations above 0", fix)
        self.names = tuple(names or ())
        if names is not None and len(self.names) != outputs:
            raise InputError("names", f"{len(self.names)} names", f"{outputs}", "Name each quantity.")

    @property
    def expected_outputs(self) -> str:
        """A number for each quantity."""
        return f"one number for each of {self.outputs} quantities" if self.outputs > 1 else "one number, the quantity"

    def check_labels(self, labels: NDArray[Any], place: str) -> NDArray[np.float32]:
        """Return standardised labels as float32, shape (n,) or (n, C).

        Raises
        ------
        InputError
            Another number of quantities, or a label so far from the mean that single precision could not tell errors.
        """
        columns = 1 if labels.ndim == 1 else labels.shape[1] if labels.ndim == 2 else 0
        if columns != self.outputs:
            fix = "Give each sample one number per quantity."
            raise InputError(place, f"shape {labels.shape}", f"({len(labels)}, {self.outputs})", fix)
        wrong = np.flatnonzero((np.abs(labels.reshape(len(labels), -1)) > _FARTHEST).any(axis=1))
        if len(wrong):
            found = f"{np.abs(labels[wrong[0]]).max():.3g} standard deviations from the mean"
            fix = "Look at this sample, take the logarithm of such a quantity, or standardise the labels."
            raise InputError(f"{place}, row {wrong[0]}", found, f"at most {_FARTHEST:,.0f}", fix)
        return labels.astype(np.float32, copy=False)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Squared error of each sample, summed over standardised quantities."""
        return (outputs - labels.reshape(outputs.shape)).square().sum(dim=-1)

    def measure(
        self, outputs: Tensor, labels: Tensor, group_of: Tensor, groups: int, linearisation: Linearisation
    ) -> Tensor:
        """Loss, R², and the mean absolute and squared error in the units of the labels as the user gave them.

        R² is 1 - squared error / variance of the labels within the group, the mean over quantities where there are
        several. Where all labels of a group are the same it is not defined and given as 0, as scikit-learn does.
        """
        import torch

        truth = labels.to(outputs).reshape(len(labels), -1)
        error = (outputs - truth.T[..., None]).transpose(0, 1)  # (n, C, m)
        squared = group_means(error.square(), group_of, groups)  # (m, C, groups)
        own_mean = group_means(truth[..., None], group_of, groups)[0].T[group_of]
        spread = group_means((truth - own_mean).square()[..., None], group_of, groups)
        told = spread > _NO_SPREAD
        explained = torch.where(told, 1 - squared / torch.where(told, spread, 1.0), torch.zeros_like(squared))
        scale = torch.from_numpy(self.scale).to(outputs)[:, None]
        absolute = group_means(error.abs(), group_of, groups)
        return torch.stack(
            [
                squared.sum(dim=1), explained.mean(dim=1), (absolute * scale).mean(dim=1),
                (squared * scale.square()).mean(dim=1),
            ],
            dim=1,
        )  # fmt: skip


# labels are standardised: beyond, squares in single precision tell no errors, and below, a spread is rounding
_FARTHEST, _NO_SPREAD = 1e4, 1e-12


def _numbers(place: str, given: Sequence[float], count: int) -> NDArray[np.float64]:
    try:
        found = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(place, repr(given)[:80], f"{count} numbers", "Give one for each quantity.") from None
    if found.shape != (count,) or not np.isfinite(found).all():
        raise InputError(place, repr(given)[:80], f"{count} finite numbers", "Give one for each quantity.")
    return found
