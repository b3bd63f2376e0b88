"""Runs and fits for the pages, cached by content: any session that asks for the same gets it at once."""

from __future__ import annotations

import re
from dataclasses import dataclass

import streamlit as st

from kernelsm.evaluation.metrics import lds, relative_error
from kernelsm.outcomes.examples import EXAMPLES, Example, load_example, load_truth
from kernelsm.outcomes.runs import load_run
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.kernel import KernelSurrogate
from kernelsm.surrogates.laws import Array
from kernelsm.surrogates.linear import LinearSurrogate

MEAN_TARGET = "mean over targets"
SPLIT_FRACTION = 0.8


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

    @property
    def word(self) -> str:
        """What is measured, in one word."""
        return "score" if self.outcomes.higher_is_better else "loss"


@dataclass(frozen=True)
class HeldOut:
    """Predictions for subsets that were not fitted.

    Parameters
    ----------
    observed, kernel, linear : ndarray, shape (m', q)
        Truth and the two surrogates' predictions.
    trained_on : int
        Number of subsets fitted.
    """

    observed: Outcomes
    kernel: Array
    linear: Array
    trained_on: int

    def scores(self) -> list[dict[str, str | float]]:
        """LDS over all targets and relative error of both surrogates."""
        return [
            {
                "surrogate": name,
                "LDS (all targets)": lds(self.observed.values, predicted),
                "relative error": relative_error(self.observed.values, predicted),
            }
            for name, predicted in (("kernel", self.kernel), ("linear", self.linear))
        ]


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
    if target:
        return run.outcomes.target(target)
    return run.outcomes if run.outcomes.q == 1 else run.outcomes.mean_target(MEAN_TARGET)


def new_surrogate(kernel: str, gamma: float | None, ridge: float) -> Surrogate:
    """An unfitted surrogate with the parameters of the sliders."""
    if kernel == "linear":
        return LinearSurrogate(ridge=ridge)
    return KernelSurrogate(kernel="poly" if kernel == "poly" else "rbf", gamma=gamma, ridge=ridge, coef0=1.0)


@st.cache_resource(max_entries=256, show_spinner=False)
def fitted(key: str, target: str, kernel: str, gamma: float | None, ridge: float) -> Surrogate:
    """Return a surrogate of one target fitted to all subsets of a run. Shared by all sessions: never change it."""
    return new_surrogate(kernel, gamma, ridge).fit_outcomes(target_outcomes(open_run(key), target))


@st.cache_resource(max_entries=128, show_spinner=False)
def held_out(key: str, kernel: str, gamma: float | None, ridge: float, against_truth: bool) -> HeldOut:
    """Fit kernel and linear surrogates and predict subsets they have not seen.

    Against the example's truth, all subsets are fitted; else 80 % of them (split at random, seed 0) and the rest
    predicted. Shared by all sessions: never change it.
    """
    run = open_run(key)
    if against_truth:
        assert run.truth is not None
        train, test = run.outcomes, run.truth
    else:
        train, test = run.outcomes.split(SPLIT_FRACTION, seed=0)
    predictions = [
        new_surrogate(name, gamma, ridge).fit_outcomes(train).predict(test.masks).reshape(test.m, -1)
        for name in (kernel, "linear")
    ]
    return HeldOut(test, predictions[0], predictions[1], train.m)
