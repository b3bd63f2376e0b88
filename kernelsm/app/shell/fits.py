"""Fits and their readouts for the pages, cached by content and shared by all sessions.

What these functions return is shared by all sessions: never change it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import streamlit as st

from kernelsm.app.shell.open_runs import Run, open_run
from kernelsm.app.shell.sentences import choice_sentence, own_scale_sentence
from kernelsm.app.shell.view import GAMMAS, RIDGES
from kernelsm.charts.style import Chart
from kernelsm.charts.sweep import gamma_sweep
from kernelsm.evaluation.comparison import PairedGain, paired_gain
from kernelsm.evaluation.fidelity import held_out_tables
from kernelsm.evaluation.metrics import lds
from kernelsm.outcomes.table import Outcomes
from kernelsm.surrogates.auto import AutoSurrogate
from kernelsm.surrogates.auto_choice import auto_choice
from kernelsm.surrogates.base import InteractionKind, Surrogate
from kernelsm.surrogates.kernel import KernelSurrogateCV
from kernelsm.surrogates.linear import LinearSurrogateCV
from kernelsm.surrogates.reading import (
    TUNING_ROWS,
    Readout,
    fit_of_target,
    new_surrogate,
    of_target,
    own_scale_surrogate,
    pair_readout_of,
    read_surrogate,
)
from kernelsm.surrogates.results import interval_quantile
from kernelsm.surrogates.subset_distributions import Array, Indices
from kernelsm.surrogates.tuning import LooSurface

_FEW_PAIRS = 100


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
    degrees_of_freedom : int
        What the standard deviations were estimated from.
    choice : str
        What the default surrogate chose, in a sentence; "" for another.
    fitted : Outcomes
        What was fitted.
    set_aside : tuple of int
        Rows of it with outcomes far from everything else, which the default surrogate sets aside.
    chosen : str
        The first sentence of `choice`, without Markdown.
    """

    observed: Outcomes
    predicted: Array
    std: Array
    linear: Array
    trained_on: int
    ranks_only: tuple[str, ...]
    degrees_of_freedom: int
    choice: str
    fitted: Outcomes
    set_aside: tuple[int, ...]
    chosen: str = ""

    def covered(self, levels: Array) -> Array:
        """Share of the held-out outcomes inside intervals of these levels, over all targets; shape (L,).

        NaN where no interval is known.
        """
        known = np.isfinite(self.std) & (self.std > 0)
        if not known.any():
            return np.full(len(levels), np.nan)
        deviations = np.abs(self.observed.values - self.predicted)[known] / self.std[known]
        half_widths = np.array([interval_quantile(self.degrees_of_freedom, level) for level in levels])
        return np.asarray((deviations[None] <= half_widths[:, None]).mean(axis=1))

    @cached_property
    def gains(self) -> dict[str, PairedGain]:
        """LDS and relative error of the surrogate against the tuned linear one."""
        return {
            score: paired_gain(self.observed.values, self.predicted, self.linear, score)
            for score in ("lds", "relative_error")
        }


# a fit keeps a factor of m² numbers, or several: with thousands of subsets hundreds of megabytes
@st.cache_resource(max_entries=3, show_spinner="Choosing kernels, ridges and shared components ...")
def _shared(key: str) -> AutoSurrogate:
    """What the default surrogate is on the outcome's own scale, for all targets of a run."""
    return own_scale_surrogate().fit_outcomes(open_run(key).outcomes)


@st.cache_resource(max_entries=8, show_spinner=False)
def fitted(key: str, target: str, kernel: str, gamma: float | None, ridge: float) -> Surrogate:
    """Return a surrogate of one target fitted to all subsets of a run."""
    if kernel == "auto" and target:
        return _shared(key).on_own_scale().of_target(target)
    return fit_of_target(open_run(key).outcomes, target, kernel, gamma, ridge)


def outlying_rows(run: Run, target: str, kernel: str) -> list[int]:
    """Rows of a run that the default surrogate of a target sets aside; none for the others, which keep all."""
    if kernel != "auto":
        return []
    surrogate = _shared(run.fits) if target else fitted(run.fits, "", "auto", None, 0.0)
    assert isinstance(surrogate, AutoSurrogate)
    rows = surrogate.outlier_rows_
    if target and len(surrogate.outliers_) == run.outcomes.m:
        rows = rows[surrogate.outliers_[rows, run.outcomes.target_names.index(target)]]
    return [int(row) for row in rows]


def pair_readout(run: Run, readout: str) -> tuple[InteractionKind, int | None]:
    """Kind and size of the interactions of a readout; no size where subsets of the run's have no room for pairs."""
    return pair_readout_of(run.outcomes, readout)


# a readout holds its surrogate, for the intervals of pairs that are asked for later
@st.cache_resource(max_entries=8, show_spinner=False)
def read_off(key: str, target: str, kernel: str, gamma: float | None, ridge: float, readout: str) -> Readout:
    """Read a fitted surrogate off."""
    found = read_surrogate(fitted(key, target, kernel, gamma, ridge), open_run(key).outcomes, target, readout)
    pairs = found.interactions
    if pairs.pair_std is None:
        return found
    return replace(found, interactions=replace(pairs, pair_std=_remembered(pairs.pair_std)))


def _remembered(pair_std: Callable[[Indices, Indices], Array]) -> Callable[[Indices, Indices], Array]:
    """Doubts of pairs, kept for when they are asked again: a page says several things of the same few pairs."""

    @lru_cache(maxsize=64)
    def known(first: tuple[int, ...], second: tuple[int, ...]) -> Array:
        return pair_std(np.array(first, dtype=np.intp), np.array(second, dtype=np.intp))

    def std_of(first: Indices, second: Indices) -> Array:
        if len(first) > _FEW_PAIRS:
            return pair_std(first, second)
        return known(tuple(first.tolist()), tuple(second.tolist()))

    return std_of


def fitted_and_held_out(run: Run, against_truth: bool) -> tuple[Outcomes, Outcomes]:
    """What Fit fits and what it tests on, see `held_out_tables`."""
    assert run.truth is not None or not against_truth
    return held_out_tables(run.outcomes, run.truth if against_truth else None)


@st.cache_resource(max_entries=32, show_spinner=False)
def held_out(key: str, kernel: str, gamma: float | None, ridge: float, against_truth: bool) -> HeldOut:
    """Fit a surrogate and predict subsets it has not seen."""
    run = open_run(key)
    train, test = fitted_and_held_out(run, against_truth)
    return predict_held_out(
        train, test, (kernel, gamma, ridge), _held_out_linear(key, against_truth),
        exact=against_truth and run.truth_is_exact,
    )  # fmt: skip


def predict_held_out(
    train: Outcomes,
    test: Outcomes,
    surrogate_settings: tuple[str, float | None, float],
    linear: Array,
    *,
    exact: bool,
) -> HeldOut:
    """Fit a surrogate of these settings to one table and predict another; it calls nothing of Streamlit.

    `linear` are the predictions of the tuned linear surrogate; `exact` says that the outcomes have no noise.
    """
    surrogate = new_surrogate(*surrogate_settings).fit_outcomes(train)
    predicted, std = (table.reshape(test.m, -1) for table in surrogate.predict(test.masks, return_std=True))
    ranks = getattr(surrogate, "ranks_only_", np.zeros(test.q, dtype=bool))
    noise = 0.0 if exact else surrogate.noise_variance_
    choice, chosen, set_aside = "", "", tuple[int, ...]()
    if isinstance(surrogate, AutoSurrogate):
        set_aside = tuple(int(row) for row in surrogate.outlier_rows_)
        own_scale = surrogate.on_own_scale().predict(test.masks).reshape(test.m, -1)
        chosen = auto_choice(surrogate)
        choice = f"{choice_sentence(surrogate)} {own_scale_sentence(test.values, own_scale)}"
    return HeldOut(
        test, predicted, np.sqrt(std**2 + noise), linear, train.m,
        tuple(name for name, only in zip(test.target_names, ranks, strict=True) if only),
        surrogate.degrees_of_freedom_, choice, train, set_aside, chosen,
    )  # fmt: skip


@st.cache_resource(max_entries=32, show_spinner=False)
def _held_out_linear(key: str, against_truth: bool) -> Array:
    return predict_linear(*fitted_and_held_out(open_run(key), against_truth))


def predict_linear(train: Outcomes, test: Outcomes) -> Array:
    """Predictions of the linear surrogate, its λ tuned by leave-one-out, for another table; shape (m', q)."""
    return LinearSurrogateCV().fit_outcomes(train).predict(test.masks).reshape(test.m, -1)


@st.cache_resource(max_entries=32, show_spinner="Leaving every subset out once ...")
def surfaces(key: str, target: str, kernel: str, against_truth: bool) -> tuple[LooSurface, LooSurface]:
    """Leave-one-out surfaces of a kernel on the sliders' grid and of the linear surrogate, on what Fit fits."""
    run = open_run(key)
    train = of_target(fitted_and_held_out(run, against_truth)[0], target)
    default_gamma = 1.0 / train.K
    gammas = sorted({*GAMMAS[::2], default_gamma})
    tuned = KernelSurrogateCV(
        kernel="poly" if kernel == "poly" else "rbf", gammas=gammas, ridges=RIDGES[::2], coef0=1.0,
        tuning_rows=TUNING_ROWS,
    )  # fmt: skip
    return tuned.fit_outcomes(train).surface_, LinearSurrogateCV(ridges=RIDGES[::2]).fit_outcomes(train).surface_


@st.cache_resource(max_entries=32, show_spinner=False)
def sweep_chart(key: str, target: str, kernel: str, against_truth: bool, dark: bool) -> Chart:
    """Animation of the held-out predictions at every γ with its best λ."""
    run = open_run(key)
    train, test = (of_target(table, target) for table in fitted_and_held_out(run, against_truth))
    surface = surfaces(key, target, kernel, against_truth)[0]
    steps = []
    for gamma, ridge in zip(surface.gammas.tolist(), surface.best_ridges.tolist(), strict=True):
        predicted = new_surrogate(kernel, gamma, ridge).fit_outcomes(train).predict(test.masks)[:, 0]
        steps.append((gamma, ridge, predicted, lds(test.values, predicted[:, None])))
    return gamma_sweep(test.values[:, 0], steps, unit=run.unit, dark=dark)


@st.cache_resource(max_entries=32, show_spinner="Tuning by leave-one-out ...")
def interaction_gains(key: str, against_truth: bool) -> tuple[PairedGain, PairedGain]:
    """LDS and relative error of the tuned RBF surrogate against the tuned linear one, on the held-out subsets."""
    train, test = fitted_and_held_out(open_run(key), against_truth)
    tuned = KernelSurrogateCV(tuning_rows=TUNING_ROWS).fit_outcomes(train).predict(test.masks).reshape(test.m, -1)
    linear = _held_out_linear(key, against_truth)
    return paired_gain(test.values, tuned, linear), paired_gain(test.values, tuned, linear, "relative_error")
