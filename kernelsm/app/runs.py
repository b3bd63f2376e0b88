"""Runs and fits for the pages, cached by content: any session that asks for the same gets it at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from kernelsm.app.view import GAMMAS, RIDGES
from kernelsm.app.words import SCALE_NAMES
from kernelsm.charts.style import Chart
from kernelsm.charts.sweep import gamma_sweep
from kernelsm.evaluation.comparison import PairedGain, paired_gain
from kernelsm.evaluation.metrics import lds
from kernelsm.outcomes.examples import EXAMPLES, Example, load_example, load_truth
from kernelsm.outcomes.runs import load_run
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.auto import AutoSurrogate
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.kernel import KernelSurrogate, KernelSurrogateCV
from kernelsm.surrogates.laws import Array
from kernelsm.surrogates.linear import LinearSurrogate, LinearSurrogateCV
from kernelsm.surrogates.results import Attribution, Interactions, interval_quantile
from kernelsm.surrogates.tuning import LooSurface

MEAN_TARGET = "mean over targets"
SPLIT_FRACTION = 0.8
# more subsets would choose hardly better, and a visitor waits for it: an eigendecomposition per γ
_TUNING_ROWS = 500
_MOST_INTERVALS = 1.5e9


class RunMissing(LookupError):  # noqa: N818 - a state of the link, not of the program
    """A link names a table that this server does not have."""


@dataclass(frozen=True)
class Run:
    """A table of outcomes and what is known about it.

    Parameters
    ----------
    key : str
        Example name or content hash.
    outcomes : Outcomes
    example : Example, optional
        The built-in example, if it is one.
    truth : Outcomes, optional
        Held-out truth, if there is one.
    """

    key: str
    outcomes: Outcomes
    example: Example | None
    truth: Outcomes | None

    @property
    def unit(self) -> str:
        """What is measured, with its unit."""
        word = self.word
        unit = self.outcomes.meta.get("unit")
        # metadata of an uploaded file is not to be trusted with markup
        return f"{word}, {unit}" if isinstance(unit, str) and re.fullmatch(r"[\w %/]{1,24}", unit) else word

    @cached_property
    def fixed_size(self) -> int | None:
        """Number of tasks of every subset, if all have the same (and neither none nor all)."""
        sizes = np.unique(self.outcomes.masks.sum(axis=1))
        return int(sizes[0]) if len(sizes) == 1 and 0 < sizes[0] < self.outcomes.K else None

    @property
    def truth_is_exact(self) -> bool:
        """Whether the truth is free of noise, as a formula's is."""
        return self.truth is not None and self.truth.meta.get("estimator") == "game without noise"

    @property
    def word(self) -> str:
        """What is measured, in one word."""
        return "score" if self.outcomes.higher_is_better else "loss"


@dataclass(frozen=True)
class HeldOut:
    """Predictions for subsets that were not fitted.

    Parameters
    ----------
    observed : Outcomes
        What was held out.
    predicted, std : ndarray, shape (m', q)
        Predictions of the surrogate looked at, and the standard deviation of the held-out outcomes about them.
    linear : ndarray, shape (m', q)
        Predictions of the linear surrogate with its λ tuned by leave-one-out.
    trained_on : int
        Number of subsets fitted.
    ranks_only : tuple of str
        Targets whose predictions mean something only by their order.
    surrogate : Surrogate
        Fitted to the others.
    """

    observed: Outcomes
    predicted: Array
    std: Array
    linear: Array
    trained_on: int
    ranks_only: tuple[str, ...]
    surrogate: Surrogate

    def covered(self, levels: Array) -> Array:
        """Share of the held-out outcomes inside intervals of these levels, over all targets; shape (L,)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            away = np.abs(self.observed.values - self.predicted) / self.std
        reach = np.array([interval_quantile(self.surrogate.degrees_of_freedom_, level) for level in levels])
        return np.asarray((np.nan_to_num(away)[None] <= reach[:, None, None]).mean(axis=(1, 2)))

    @cached_property
    def gains(self) -> dict[str, PairedGain]:
        """LDS and relative error of the surrogate against the tuned linear one."""
        return {
            score: paired_gain(self.observed.values, self.predicted, self.linear, score)
            for score in ("lds", "relative_error")
        }


@dataclass(frozen=True)
class Readout:
    """What is read off a surrogate of one target.

    Parameters
    ----------
    attribution, interactions
        Of one target.
    told : ndarray of bool, shape (K, K)
        Pairs that can be told from zero.
    """

    attribution: Attribution
    interactions: Interactions
    told: NDArray[np.bool_]


@st.cache_resource(max_entries=64, show_spinner=False)
def open_run(key: str) -> Run:
    """Return a run by its key.

    Raises
    ------
    RunMissing
        There is none of that name on this server.
    """
    if key in EXAMPLES:
        return Run(key, load_example(key), EXAMPLES[key], load_truth(key))
    try:
        return Run(key, load_run(key), None, None)
    except KeyError:
        raise RunMissing("The link names a table that is not on this server: upload it again to see it.") from None
    except InputError as error:
        raise RunMissing(f"The table that the link names is damaged: {error}") from None


def target_outcomes(run: Run, target: str) -> Outcomes:
    """Outcomes of one target, or of the mean over targets for ""."""
    return of_target(run.outcomes, target)


def of_target(outcomes: Outcomes, target: str) -> Outcomes:
    """The same of any table."""
    if target:
        return outcomes.target(target)
    return outcomes if outcomes.q == 1 else outcomes.mean_target(MEAN_TARGET)


def shown_readout(run: Run, chosen: str) -> str:
    """The readout chosen, or what suits the run: with subsets of one size the others lie far from the data."""
    return chosen or ("inclusion" if run.fixed_size else "leave_one_out")


def new_surrogate(kernel: str, gamma: float | None, ridge: float) -> Surrogate:
    """An unfitted surrogate with the parameters of the sliders."""
    if kernel == "auto":
        return AutoSurrogate(tuning_rows=_TUNING_ROWS)
    if kernel == "tuned_linear":
        return LinearSurrogateCV()
    if kernel == "linear":
        return LinearSurrogate(ridge=ridge)
    return KernelSurrogate(kernel="poly" if kernel == "poly" else "rbf", gamma=gamma, ridge=ridge, coef0=1.0)


@st.cache_resource(max_entries=8, show_spinner="Choosing kernels, ridges and shared components ...")
def auto_fitted(key: str) -> AutoSurrogate:
    """Return the default surrogate of all targets of a run. Shared by all sessions: never change it."""
    surrogate = AutoSurrogate(tuning_rows=_TUNING_ROWS)
    surrogate.fit_outcomes(open_run(key).outcomes)
    return surrogate


@st.cache_resource(max_entries=16, show_spinner=False)
def fitted(key: str, target: str, kernel: str, gamma: float | None, ridge: float) -> Surrogate:
    """Return a surrogate of one target fitted to all subsets of a run. Shared by all sessions: never change it."""
    outcomes = open_run(key).outcomes
    if kernel == "auto":
        # one fit for all targets, which share what they share
        names = outcomes.target_names
        weights = np.eye(len(names))[:, [names.index(target)]] if target else np.full((len(names), 1), 1 / len(names))
        return auto_fitted(key).on_own_scale(weights, [target or (MEAN_TARGET if outcomes.q > 1 else names[0])])
    return new_surrogate(kernel, gamma, ridge).fit_outcomes(target_outcomes(open_run(key), target))


@st.cache_resource(max_entries=64, show_spinner=False)
def read_off(key: str, target: str, kernel: str, gamma: float | None, ridge: float, readout: str) -> Readout:
    """Read a fitted surrogate off. Shared by all sessions: never change it."""
    surrogate = fitted(key, target, kernel, gamma, ridge)
    run = open_run(key)
    if readout == "shapley":
        attribution, interactions = surrogate.attribution("shapley"), surrogate.interactions("shapley")
    elif readout == "inclusion":
        size = run.fixed_size
        attribution = surrogate.attribution("inclusion", size=size)
        # pairs need room for both tasks in a subset, and outside of it
        fits = size is None or 2 <= size <= run.outcomes.K - 2
        interactions = surrogate.interactions("inclusion", size=size if fits else None)
    else:
        attribution, interactions = surrogate.attribution(), surrogate.interactions()
    # intervals cost m² each: of many subsets only the strongest pairs are tested
    most = int(np.clip(_MOST_INTERVALS / run.outcomes.m**2, 300, 5000))
    return Readout(attribution, interactions, interactions.told_from_zero(most=most))


def fitted_and_held_out(run: Run, against_truth: bool) -> tuple[Outcomes, Outcomes]:
    """What Fit fits and what it tests on: all and the truth, or four fifths at random (seed 0) and the rest."""
    if against_truth:
        assert run.truth is not None
        return run.outcomes, run.truth
    return run.outcomes.split(SPLIT_FRACTION, seed=0)


@st.cache_resource(max_entries=24, show_spinner=False)
def held_out(key: str, kernel: str, gamma: float | None, ridge: float, against_truth: bool) -> HeldOut:
    """Fit a surrogate and predict subsets it has not seen. Shared by all sessions: never change it."""
    train, test = fitted_and_held_out(open_run(key), against_truth)
    surrogate = new_surrogate(kernel, gamma, ridge).fit_outcomes(train)
    predicted, std = (table.reshape(test.m, -1) for table in surrogate.predict(test.masks, return_std=True))
    ranks = getattr(surrogate, "ranks_only_", np.zeros(test.q, dtype=bool))
    noise = 0.0 if against_truth and open_run(key).truth_is_exact else surrogate.noise_variance_
    return HeldOut(
        test, predicted, np.sqrt(std**2 + noise), _held_out_linear(key, against_truth), train.m,
        tuple(name for name, only in zip(test.target_names, ranks, strict=True) if only),
        surrogate,
    )  # fmt: skip


@st.cache_resource(max_entries=32, show_spinner=False)
def _held_out_linear(key: str, against_truth: bool) -> Array:
    train, test = fitted_and_held_out(open_run(key), against_truth)
    return LinearSurrogateCV().fit_outcomes(train).predict(test.masks).reshape(test.m, -1)


@st.cache_resource(max_entries=32, show_spinner="Leaving every subset out once ...")
def surfaces(key: str, target: str, kernel: str, against_truth: bool) -> tuple[LooSurface, LooSurface]:
    """Leave-one-out surfaces of a kernel on the sliders' grid and of the linear surrogate, on what Fit fits."""
    run = open_run(key)
    train = of_target(fitted_and_held_out(run, against_truth)[0], target)
    near = 1.0 / train.K
    gammas = sorted({*GAMMAS[::2], near})
    tuned = KernelSurrogateCV(
        kernel="poly" if kernel == "poly" else "rbf", gammas=gammas, ridges=RIDGES[::2], coef0=1.0,
        tuning_rows=_TUNING_ROWS,
    )  # fmt: skip
    return tuned.fit_outcomes(train).surface_, LinearSurrogateCV(ridges=RIDGES[::2]).fit_outcomes(train).surface_


@st.cache_resource(max_entries=32, show_spinner=False)
def sweep_chart(key: str, target: str, kernel: str, against_truth: bool) -> Chart:
    """Animation of the held-out predictions at every γ with its best λ."""
    run = open_run(key)
    train, test = (of_target(part, target) for part in fitted_and_held_out(run, against_truth))
    surface = surfaces(key, target, kernel, against_truth)[0]
    ridges = surface.ridges[surface.relative.argmin(axis=1)]
    steps = []
    for gamma, ridge in zip(surface.gammas.tolist(), ridges.tolist(), strict=True):
        predicted = new_surrogate(kernel, gamma, ridge).fit_outcomes(train).predict(test.masks)[:, 0]
        steps.append((gamma, ridge, predicted, lds(test.values, predicted[:, None])))
    return gamma_sweep(test.values[:, 0], steps, unit=run.unit)


@st.cache_resource(max_entries=32, show_spinner="Tuning by leave-one-out ...")
def interaction_gains(key: str, against_truth: bool) -> tuple[PairedGain, PairedGain]:
    """LDS and relative error of the tuned RBF surrogate against the tuned linear one, on the held-out subsets."""
    train, test = fitted_and_held_out(open_run(key), against_truth)
    tuned = KernelSurrogateCV(tuning_rows=_TUNING_ROWS).fit_outcomes(train).predict(test.masks).reshape(test.m, -1)
    linear = _held_out_linear(key, against_truth)
    return paired_gain(test.values, tuned, linear), paired_gain(test.values, tuned, linear, "relative_error")


def auto_choice(key: str, against_truth: bool) -> str:
    """What the default surrogate chose on what Fit fits, in a sentence."""
    auto = held_out(key, "auto", None, 0.0, against_truth).surrogate
    assert isinstance(auto, AutoSurrogate)
    own = auto.effects_
    q = own.noise_variance_.size
    shared = (
        f"{own.components_} components that the {q} targets share" if own.sharing_ == "components" and q > 1
        else "each target by itself" if q > 1 else "one target"
    )  # fmt: skip
    linear = sum(len(part.loadings) for part in own.parts_ if not isinstance(part.surrogate, KernelSurrogate))
    total = sum(len(part.loadings) for part in own.parts_)
    kernels = "RBF kernels" if linear == 0 else "linear kernels" if linear == total else "RBF and linear kernels"
    weights = {SCALE_NAMES[name]: float(weight.mean()) for name, weight in auto.weights_.items()}
    scales = ", ".join(f"{name} {weight:.0%}" for name, weight in sorted(weights.items(), key=lambda item: -item[1]))
    return f"**Auto** took {kernels} for {shared}, and weighs scales of the outcome by leave-one-out: {scales}."
