"""All attribution methods by name, what each needs, and how it is made for the data at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from kernelsm.attributors.attributor import Attributor
from kernelsm.attributors.from_table import Datamodels, ProxySpex, SurrogateAttribution
from kernelsm.outcomes.measured_word import measured_word
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import Store
from kernelsm.surrogates.auto import default_surrogate
from kernelsm.surrogates.base import AttributionKind
from kernelsm.surrogates.kernel import KernelSurrogateCV
from kernelsm.surrogates.linear import LinearSurrogateCV

if TYPE_CHECKING:  # names are known without torch
    from torch import nn

    from kernelsm.attributors.descent import Descent
    from kernelsm.attributors.feature_losses import FeatureLosses
    from kernelsm.attributors.network_losses import NetworkLosses
    from kernelsm.attributors.task_losses import TaskLosses
    from kernelsm.gradients.features import GradientFeatures
    from kernelsm.tasks.suite import TaskSuite

NETWORK_UP_TO = 20_000_000
"""Samples times parameters up to which methods ask the network itself; beyond, the model linear in its features."""


@dataclass
class Given:
    """What there is to attribute with; parts that no method asks for are never made.

    Parameters
    ----------
    outcomes : Outcomes
        The table that surrogates are fitted to.
    suite : TaskSuite, optional
        None where there is a table alone.
    model : torch.nn.Module, optional
        At W0; None where there are gradient features in its place.
    features : callable, optional
        Returns training and test features.
    ridge : float
        λ of the pull towards W0.
    retraining : mapping
        Arguments of `Retraining` besides the ridge.
    retraining_seconds : float
        What one subset takes.
    store : Store, optional
    """

    outcomes: Outcomes
    suite: TaskSuite | None = None
    model: nn.Module | None = None
    features: Callable[[], tuple[GradientFeatures, GradientFeatures]] | None = None
    ridge: float = 0.03
    retraining: Mapping[str, Any] = field(default_factory=dict)
    retraining_seconds: float = 1.0
    store: Store | None = None

    @cached_property
    def linear(self) -> FeatureLosses:
        """Losses of the model linear in the features."""
        from kernelsm.attributors.feature_losses import FeatureLosses

        if self.suite is None or self.features is None:
            raise InputError("method", "a table of outcomes alone", "a network or gradient features", _ASK_TABLE)
        return FeatureLosses(self.suite, *self.features(), ridge=self.ridge)

    @cached_property
    def network(self) -> NetworkLosses:
        """Losses of the network itself."""
        from kernelsm.attributors.network_losses import NetworkLosses

        if self.suite is None or self.model is None:
            raise InputError("method", "no network", "one to differentiate", _ASK_TABLE)
        precision = self.retraining.get("precision", "double")
        return NetworkLosses(
            self.suite,
            self.model,
            ridge=self.ridge,
            precision=precision,
            retraining=self.retraining,
            store=self.store,
        )

    @cached_property
    def nearest(self) -> TaskLosses:
        """The network where it is small, else the model linear in its features."""
        if self.suite is not None and self.model is not None:
            work = len(self.suite.inputs) * sum(p.numel() for p in self.model.parameters() if p.requires_grad)
            if work <= NETWORK_UP_TO:
                return self.network
        return self.linear

    @cached_property
    def descent(self) -> Descent:
        """A run of gradient descent that several methods look into."""
        from kernelsm.attributors.descent import Descent

        return Descent(self.nearest)


_ASK_TABLE = "Ask a method that needs a table alone: default, linear, datamodels."


@dataclass(frozen=True)
class Method:
    """One entry of the catalog.

    Parameters
    ----------
    name, title : str
    needs : {"outcomes", "features", "network"}
        What it looks at; for "features" a network will do, from which they are computed.
    make : callable
        Returns the `Attributor` for a `Given`.
    """

    name: str
    title: str
    needs: str
    make: Callable[[Given], Attributor]


def make_method(name: str, given: Given) -> Attributor:
    """Return a method by its name, for the data at hand.

    Raises
    ------
    InputError
        There is none of that name, it needs what is not given, or it looks at gradients of a loss and the outcomes
        are something else or of other tasks and targets.
    """
    if name not in METHODS:
        raise InputError("method", repr(name)[:80], ", ".join(METHODS), "Choose among these.")
    suite, outcomes = given.suite, given.outcomes
    if METHODS[name].needs != "outcomes" and suite is not None:
        if outcomes.higher_is_better or outcomes.meta.get("measure", "loss") != "loss":
            found = f"outcomes that are another measure, {measured_word(outcomes)!r}"
            raise InputError(name, found, "losses, which gradients are those of", _ASK_TABLE)
        for place in ("task_names", "target_names"):
            if tuple(getattr(outcomes, place)) != tuple(getattr(suite, place)):
                fix = "Take the table that was computed from these samples."
                raise InputError(f"{name}, {place}", "others than the samples have", "the same", fix)
    return METHODS[name].make(given)


def possible_methods(given: Given) -> list[str]:
    """Names of the methods that have what they need, in the order of the catalog."""
    has = {"outcomes"}
    if given.suite is not None and (given.features is not None or given.model is not None):
        has |= {"features"}
    if given.suite is not None and given.model is not None:
        has |= {"network"}
    return [name for name, method in METHODS.items() if method.needs in has]


def _default(given: Given, *, readout: AttributionKind, name: str, title: str) -> Attributor:
    return SurrogateAttribution(given.outcomes, default_surrogate, name, title, readout=readout)


def _linear(given: Given) -> Attributor:
    return SurrogateAttribution(
        given.outcomes, LinearSurrogateCV, "linear", "tuned linear surrogate", seconds=0.01, pairs=False
    )


def _rbf(given: Given) -> Attributor:
    return SurrogateAttribution(given.outcomes, KernelSurrogateCV, "rbf", "tuned RBF surrogate", seconds=0.1)


def _exact(given: Given) -> Attributor:
    from kernelsm.attributors.influence import ExactInfluence

    return ExactInfluence(given.linear)


def _cg(given: Given) -> Attributor:
    from kernelsm.attributors.influence import ConjugateGradientInfluence

    return ConjugateGradientInfluence(given.nearest)


def _lissa(given: Given) -> Attributor:
    from kernelsm.attributors.influence import NeumannInfluence

    return NeumannInfluence(given.nearest)


def _ekfac(given: Given) -> Attributor:
    from kernelsm.attributors.ekfac import KroneckerInfluence

    return KroneckerInfluence(given.network)


def _tracin(given: Given, *, checkpoints: bool) -> Attributor:
    from kernelsm.attributors.gradient_products import TracIn

    return TracIn(given.nearest, descent=given.descent) if checkpoints else TracIn(given.linear)


def _trak(given: Given) -> Attributor:
    from kernelsm.attributors.trak import Trak

    return Trak(given.linear)


def _task_trak(given: Given) -> Attributor:
    from kernelsm.attributors.trak import TaskTrak

    return TaskTrak(given.linear)


def _second_order(given: Given) -> Attributor:
    from kernelsm.attributors.second_order import SecondOrderInfluence

    return SecondOrderInfluence(given.linear)


def _magic(given: Given) -> Attributor:
    from kernelsm.attributors.metagradients import Magic

    return Magic(given.descent)


def _source(given: Given) -> Attributor:
    from kernelsm.attributors.descent import Descent
    from kernelsm.attributors.segments import Source

    # the published three segments; eigenvalues need the curvature written down, which features have at hand
    return Source(Descent(given.linear, checkpoints=3))


def _bif(given: Given) -> Attributor:
    from kernelsm.attributors.bayesian import BayesianInfluence

    return BayesianInfluence(given.nearest)


def _leave_one_out(given: Given) -> Attributor:
    from kernelsm.attributors.leave_one_out import LeaveOneOut
    from kernelsm.estimators.retraining import Retraining

    assert given.suite is not None
    assert given.model is not None
    trainer = Retraining(given.suite, given.model, ridge=given.ridge, **given.retraining)
    return LeaveOneOut(trainer, seconds=given.retraining_seconds)


def _datamodels(given: Given) -> Attributor:
    return Datamodels(given.outcomes)


def _proxyspex(given: Given) -> Attributor:
    return ProxySpex(given.outcomes)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("default", "default surrogate", "outcomes",
               partial(_default, readout="leave_one_out", name="default", title="default surrogate")),
        Method("default_banzhaf", "default surrogate, averaged over subsets", "outcomes",
               partial(_default, readout="banzhaf", name="default_banzhaf",
                       title="default surrogate, averaged over subsets")),
        Method("rbf", "tuned RBF surrogate", "outcomes", _rbf),
        Method("linear", "tuned linear surrogate", "outcomes", _linear),
        Method("datamodels", Datamodels.title, "outcomes", _datamodels),
        Method("proxyspex", ProxySpex.title, "outcomes", _proxyspex),
        Method("leave_one_out", "leave-one-out, retrained", "network", _leave_one_out),
        Method("influence_exact", "influence functions, exact Gauss-Newton", "features", _exact),
        Method("influence_cg", "influence functions, conjugate gradients", "features", _cg),
        Method("influence_lissa", "influence functions, LiSSA", "features", _lissa),
        Method("influence_ekfac", "influence functions, EK-FAC", "network", _ekfac),
        Method("tracin", "TracIn at W0", "features", partial(_tracin, checkpoints=False)),
        Method("tracin_checkpoints", "TracIn over checkpoints", "features", partial(_tracin, checkpoints=True)),
        Method("trak", "TRAK, scores of samples summed", "features", _trak),
        Method("trak_tasks", "TRAK on task features", "features", _task_trak),
        Method("influence_pairs", "influence functions to second order", "features", _second_order),
        Method("magic", "MAGIC, backpropagation through training", "features", _magic),
        Method("source", "SOURCE, unrolled by segments", "features", _source),
        Method("bif", "Bayesian influence functions", "features", _bif),
    )
}  # fmt: skip
