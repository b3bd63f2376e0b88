"""The objective: outputs of a model, loss of outputs and labels, its curvature, measures and their units.

Notation: a model f_W gives C outputs for a sample with label y. Its loss is ℓ(f, y). GradEx works with R numbers u
that follow from the outputs and are linear in the weights there, u = u_W0 + G z; for n samples and m subsets they are
arrays of shape (R, n, m).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from numpy.typing import NDArray

from kernelsm.runtime.errors import InputError

if TYPE_CHECKING:  # names, measures and sizes are known without torch
    from torch import Tensor

    from kernelsm.tasks.suite import TaskSuite


@dataclass(frozen=True)
class Measure:
    """A quantity that is measured on a model and a group of samples.

    Parameters
    ----------
    name : str
        As users ask for it.
    unit : str
    higher_is_better : bool
        False for a loss.
    """

    name: str
    unit: str
    higher_is_better: bool


def find_measure(measures: Sequence[Measure], name: str) -> int:
    """Return the position of a measure among others.

    Raises
    ------
    InputError
        There is none of that name.
    """
    names = [measure.name for measure in measures]
    if name not in names:
        raise InputError("measure", repr(name)[:80], " or ".join(map(repr, names)), "Choose one of these.")
    return names.index(name)


@dataclass(frozen=True)
class Expansion:
    """A loss near some outputs u, to second order: its slope ∂ℓ/∂u and its curvature diag(d) - b bᵀ.

    The curvature has no negative eigenvalue, and d is above 0 where an output matters.

    Parameters
    ----------
    slope, diagonal : Tensor, shape (R, n, m) or (rows, m)
        ∂ℓ/∂u and d of every output, sample and model; or of some rows (output, sample).
    cross : Tensor, same shape, optional
        b. None where the outputs of a sample do not influence each other's loss. The same object as `diagonal` where
        both are probabilities, for which there are more precise formulas.
    """

    slope: Tensor
    diagonal: Tensor
    cross: Tensor | None = None

    @property
    def own_curvature(self) -> Tensor:
        """Second derivative by each output alone, d - b²."""
        if self.cross is None:
            return self.diagonal
        if self.cross is self.diagonal:
            return self.diagonal * (1 - self.diagonal)
        return self.diagonal - self.cross.square()

    def curvature_times(self, change: Tensor) -> Tensor:
        """Curvature times a change of the outputs (R, n, m), whose outputs of a sample are along the first axis."""
        if self.cross is None:
            return self.diagonal * change
        along = (self.cross * change).sum(dim=0)
        if self.cross is self.diagonal:
            return self.diagonal * (change - along)
        return self.diagonal * change - self.cross * along

    def of_models(self, models: Tensor) -> Expansion:
        """Select some of the m models, by their positions or by a boolean mask."""
        return self._with(lambda part: part[..., models])

    def of_rows(self, rows: Tensor) -> Expansion:
        """Select some rows (output, sample), which are numbered output by output; shape (rows, m)."""
        return self._with(lambda part: part.flatten(0, 1)[rows])

    def of_samples(self, samples: slice) -> Expansion:
        """Select some of the n samples."""
        return self._with(lambda part: part[:, samples])

    def _with(self, choose: Any) -> Expansion:
        diagonal = choose(self.diagonal)
        same = self.cross is self.diagonal
        cross = diagonal if same else None if self.cross is None else choose(self.cross)
        return Expansion(choose(self.slope), diagonal, cross)


class RestrictedLoss(Protocol):
    """A loss as a function of some rows (output, sample), with the other outputs fixed."""

    def expand(self, outputs: Tensor) -> Expansion:
        """Expand around outputs of these rows, shape (rows, m)."""

    def of_models(self, models: Tensor) -> RestrictedLoss:
        """The same for some of the m models."""


class OutputLoss(ABC):
    """ℓ(u, t), convex and twice differentiable in the R numbers u: what GradEx minimises.

    t are the targets, which an objective makes of labels.
    """

    longest_step: float = math.inf
    """How far one step may move a number u; farther away the expansion does not describe the loss."""
    constant_curvature: float | None = None
    """∂²ℓ/∂u² where it is the same number for every output, whatever the outputs, and outputs do not influence each
    other: the loss is half of that times the squared distance to the targets, and GradEx a ridge regression."""

    @abstractmethod
    def expand(self, outputs: Tensor, targets: Tensor) -> Expansion:
        """Expand around outputs.

        Parameters
        ----------
        outputs : Tensor, shape (R, n, m)
            Not to be changed in place.
        targets : Tensor, shape (R, n, 1)
        """

    def restrict(self, outputs: Tensor, targets: Tensor, rows: Tensor) -> RestrictedLoss:
        """Return the loss of some rows, with all others where `outputs` has them.

        As it stands this is for losses that are a sum over outputs, and `expand` is given shapes (rows, m) and
        (rows, 1); where outputs influence each other, a loss overrides it.

        Parameters
        ----------
        outputs, targets : Tensor
            As of `expand`.
        rows : Tensor of int64, shape (rows,)
            Position output · n + sample of each row.

        Raises
        ------
        TypeError
            When the loss is expanded, where it ought to have overridden this.
        """
        return _SumOverOutputs(self, targets.flatten(0, 1)[rows])


@dataclass(frozen=True)
class _SumOverOutputs:
    """Rows of a loss in which outputs do not influence each other."""

    loss: OutputLoss
    targets: Tensor

    def expand(self, outputs: Tensor) -> Expansion:
        expansion = self.loss.expand(outputs, self.targets)
        if expansion.cross is not None:
            raise TypeError(f"outputs influence each other in {type(self.loss).__name__}: override its restrict()")
        return expansion

    def of_models(self, models: Tensor) -> RestrictedLoss:
        return self


class Linearisation(ABC):
    """Which function of a model's outputs is linearised, and the loss that is minimised in the linear model.

    Q numbers h(f, y) of each sample are differentiated by the weights; their gradients at W0, (n, Q, k), are the
    features. The loss is a function of R numbers u = A h, for a matrix A that is the same for all samples: `offsets`
    are u at W0, and `features` the gradients of u. By default h = u = f, the outputs, and Q = R = C.
    """

    name: ClassVar[str]
    """As users choose it, and as files hold it."""
    uses_labels: ClassVar[bool] = False
    """Whether h depends on the labels."""
    loss: OutputLoss

    def width(self, outputs: int) -> int:
        """Q, for C outputs."""
        return outputs

    def differentiated(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """h, shape (n, Q), of outputs (n, C) and labels (n, ...)."""
        return outputs

    def offsets(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """u, shape (..., n, R), of outputs (..., n, C) and labels (n, ...)."""
        return outputs

    def features(self, gradients: Tensor) -> Tensor:
        """Gradients of u, shape (n, R, k), from those of h, shape (n, Q, k)."""
        return gradients

    @abstractmethod
    def targets(self, labels: Tensor, rows: int) -> Tensor:
        """What the loss compares the R = `rows` numbers u of each sample with, shape (n, R)."""


class Objective(ABC):
    """What a model is trained on and measured by.

    Parameters
    ----------
    outputs : int
        C, the numbers that a model gives for each sample.

    Raises
    ------
    InputError
        No output.
    """

    name: ClassVar[str]
    """As suites and files hold it."""
    measures: ClassVar[tuple[Measure, ...]]
    """What can be read off a model, however many outputs it has; the first is the loss that is trained on."""
    headline: ClassVar[str]
    """The measure by which people judge a network."""
    linearisations: ClassVar[tuple[Linearisation, ...]]
    """What GradEx may linearise. The first is that of all outputs; each further one needs less memory."""
    output_word: ClassVar[str] = "outputs"
    """What the numbers that a model gives are called, in the plural."""

    def __init__(self, outputs: int) -> None:
        if outputs < 1:
            fix = "Give every sample a label."
            raise InputError("outputs", f"{outputs}", "a whole number above 0", fix)
        self.outputs = outputs

    @classmethod
    def of(cls, suite: TaskSuite) -> Self:
        """Return the objective of a suite that names it: an output for each class, or for each column of labels."""
        columns = 1 if suite.labels.ndim == 1 else int(suite.labels.shape[1])
        return cls(suite.classes or columns, **suite.objective_settings)

    @classmethod
    def measures_for(cls, outputs: int) -> tuple[Measure, ...]:
        """What can be read off a model of C outputs: `measures`, then what there is for this number alone."""
        return cls.measures

    @classmethod
    def linearisation(cls, name: str) -> Linearisation:
        """Return a linearisation by its name; the first for "".

        Raises
        ------
        InputError
            There is none of that name.
        """
        known = {each.name: each for each in cls.linearisations}
        if name not in ("", *known):
            expected = " or ".join(map(repr, known))
            raise InputError("outputs", repr(name)[:80], expected, "Choose one of these.")
        return known[name] if name else cls.linearisations[0]

    @classmethod
    def labels_in_words(cls, outputs: int) -> str:
        """What the labels of samples are, for C outputs: "10 classes"."""
        return f"{outputs} {cls.output_word}" if outputs > 1 else "one output"

    @classmethod
    def headline_in_words(cls, train: float, test: float) -> str:
        """What a network is worth by its headline measure, as what follows "the network"."""
        return f"has a {cls.headline} of **{train:.3g}** on the training and **{test:.3g}** on the test samples"

    @classmethod
    def is_guessing(cls, headline: float, outputs: int) -> bool:
        """Whether a network of that headline measure on test samples is hardly better than guessing."""
        return False

    @property
    @abstractmethod
    def expected_outputs(self) -> str:
        """What a model has to give for each sample, in words."""

    def check_outputs(self, count: int, place: str) -> None:
        """Refuse a model that gives another number of outputs for each sample.

        Raises
        ------
        InputError
            Names `place`.
        """
        if count != self.outputs:
            fix = f"Give its last layer {self.outputs} outputs."
            raise InputError(place, f"{count:,} outputs a sample", self.expected_outputs, fix)

    @abstractmethod
    def check_labels(self, labels: NDArray[Any], place: str) -> NDArray[Any]:
        """Return labels, shape (n, ...), in the type that the other methods rely on.

        Raises
        ------
        InputError
            Labels that do not fit; names the first row that is wrong.
        """

    @abstractmethod
    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Loss of each sample, shape (..., n), of outputs (..., n, C) and labels (..., n, ...); differentiable."""

    @abstractmethod
    def measure(
        self, outputs: Tensor, labels: Tensor, group_of: Tensor, groups: int, linearisation: Linearisation
    ) -> Tensor:
        """Measure models on groups of samples.

        Parameters
        ----------
        outputs : Tensor, shape (R, n, m)
            The numbers u of a linearisation, in m models.
        labels : Tensor, shape (n, ...)
        group_of : Tensor of int64, shape (n,)
            Group of each sample, 0..groups-1; every group has one.
        groups : int
        linearisation : Linearisation
            Which one.

        Returns
        -------
        Tensor, shape (m, measures, groups)
            In the order of `measures_for`.
        """

    def measure_model(self, outputs: Tensor, labels: Tensor, group_of: Tensor, groups: int) -> Tensor:
        """Measure models by all their outputs, shape (m, n, C); the other arguments are those of `measure`."""
        first = self.linearisations[0]
        return self.measure(first.offsets(outputs, labels).permute(2, 1, 0), labels, group_of, groups, first)

    def measure_headline(self, outputs: Tensor, labels: Tensor) -> float:
        """Headline measure of one model by its outputs (n, C), over all samples together."""
        groups = labels.new_zeros(len(labels)).long()
        found = self.measure_model(outputs.double()[None], labels, groups, 1)
        return float(found[0, find_measure(self.measures, self.headline), 0])


def group_means(samples: Tensor, group_of: Tensor, groups: int) -> Tensor:
    """Take means over the samples of each group.

    Parameters
    ----------
    samples : Tensor, shape (n, measures, m)
    group_of : Tensor of int64, shape (n,)
    groups : int

    Returns
    -------
    Tensor, shape (m, measures, groups)
    """
    sums = samples.new_zeros((groups, *samples.shape[1:])).index_add_(0, group_of, samples)
    counts = group_of.bincount(minlength=groups)
    return (sums / counts[:, None, None]).permute(2, 1, 0)
