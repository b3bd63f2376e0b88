"""What Fit shows at every stop of its sliders, computed ahead, so that its charts follow a slider that is dragged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from kernelsm.app.shell import controls, disk, session
from kernelsm.app.shell.ahead import Ahead
from kernelsm.app.shell.fits import HeldOut, predict_held_out, predict_linear, surfaces
from kernelsm.app.shell.live_charts import Frame, LiveSlider, live_charts
from kernelsm.app.shell.open_runs import Run, open_run
from kernelsm.charts.marks import places
from kernelsm.charts.surface import RING, ring_place
from kernelsm.evaluation.fidelity import SPLIT_FRACTION, held_out_tables
from kernelsm.evaluation.metrics import lds, relative_error
from kernelsm.outcomes.table import Outcomes
from kernelsm.surrogates.subset_distributions import Array
from kernelsm.surrogates.wording import percent

SCATTER, SURFACE, CALIBRATION, SCORES, VERDICT = (
    "fit_scatter", "fit_surface", "fit_calibration", "fit_scores", "fit_verdict"
)  # fmt: skip
LEVELS = np.linspace(0.1, 0.95, 18)
MOST_FITTED, MOST_HELD_OUT = 1_000, 1_000
"""With more subsets a line of fits takes too long to be there before anybody drags, or too much to send."""
ON_RELEASE = f"With more than {MOST_FITTED:,} subsets the charts change when a slider is let go, not while it moves."
_FEWEST = 12
_POINTS, _LINEAR_POINTS, _CURVE = 1, 3, 2  # numbers of traces


@dataclass(frozen=True)
class AtStop:
    """What is seen at one stop: outcomes held out and both predictions, of the target looked at, and the scores.

    Parameters
    ----------
    observed, predicted, linear : ndarray, shape (m',)
    covered : ndarray, shape (L,)
        Share of all held-out outcomes inside intervals of `LEVELS`.
    lds, relative_error : float
        Of the predictions of all targets.
    """

    observed: Array
    predicted: Array
    linear: Array
    covered: Array
    lds: float
    relative_error: float


@dataclass(frozen=True)
class Line:
    """The stops of one slider where everything else stays as it is.

    Parameters
    ----------
    run : str
        Key of the table.
    kernel, target, on_truth
        As the page shows them.
    settings : tuple of (float or None, float, int or None)
        γ, ridge and number of subsets used, of each stop.
    """

    run: str
    kernel: str
    target: str
    on_truth: bool
    settings: tuple[tuple[float | None, float, int | None], ...]


def follow(run: Run, on_truth: bool, kernel: str) -> None:
    """Let the charts follow the sliders; call it after them. `kernel` is the surrogate that the page shows."""
    _follow(run.key, on_truth, kernel)


@st.fragment
@disk.telling
def _follow(run_key: str, on_truth: bool, kernel: str) -> None:
    run, view = open_run(run_key), session.view()
    if too_few(run) or too_many(run, on_truth):
        return
    lines = {name: _line(run, name, kernel, on_truth) for name in ("gamma", "ridge", "used")}
    if view.kernel in ("auto", "linear"):
        del lines["gamma"]
    if view.kernel == "auto":
        del lines["ridge"]
    if len(lines["used"][1].settings) < 2:
        del lines["used"]
    ahead = _ahead()
    sliders = []
    for name, (at, line) in lines.items():
        found = () if ahead.failed(line) else ahead.find(line)
        frames = None if found is None else _frames(run, name, line, found)
        sliders.append(LiveSlider(f"view_{name}", at, frames))
    fades = [f".st-key-{VERDICT}", f".st-key-{SCORES} [data-testid=stMetricDelta]"]
    for key in live_charts(sliders, "fit_following", fades=fades):
        line = lines[key.removeprefix("view_")][1]
        ahead.start(line, partial(compute, line, run))


def too_few(run: Run) -> bool:
    """Whether a run has too few subsets to test any fit on."""
    return run.m < _FEWEST


def too_many(run: Run, on_truth: bool) -> bool:
    """Whether a run has too many subsets for its charts to follow a slider while it moves."""
    held_out = run.truth.m if on_truth and run.truth is not None else round((1 - SPLIT_FRACTION) * run.m)
    return run.m > MOST_FITTED or held_out > MOST_HELD_OUT


@st.cache_resource(show_spinner=False)
def _ahead() -> Ahead:
    """One thread for the server."""
    return Ahead(kept=200, waiting=12)


def _line(run: Run, name: str, kernel: str, on_truth: bool) -> tuple[int, Line]:
    """The stop where a slider of the view stands, and the line of all its stops."""
    view = session.view()
    K, m = run.outcomes.K, run.m
    gamma, used = 1.0 / K if view.gamma is None else view.gamma, view.used
    kernel_gamma = None if kernel == "auto" else gamma
    stops: list[tuple[float | None, float, int | None]]
    ridge = 0.0 if kernel == "auto" else view.ridge
    if name == "gamma":
        gammas = controls.gamma_stops(K, view.gamma)
        at, stops = gammas.index(gamma), [(each, ridge, used) for each in gammas]
    elif name == "ridge":
        ridges = controls.ridge_stops(view.ridge)
        at, stops = ridges.index(view.ridge), [(kernel_gamma, each, used) for each in ridges]
    else:
        counts = controls.used_stops(m, used)
        at = counts.index(m if used is None else used)
        stops = [(kernel_gamma, ridge, None if count == m else count) for count in counts]
    return at, Line(run.key, kernel, view.target, on_truth, tuple(stops))


def compute(line: Line, run: Run) -> list[AtStop]:
    """Fit and predict at every stop of a line; `run` is that of all subsets. It calls nothing of Streamlit."""
    tables: dict[int | None, tuple[Outcomes, Outcomes, Array]] = {}
    found = []
    for gamma, ridge, used in line.settings:
        if used not in tables:
            outcomes = run.outcomes if used is None else run.outcomes.take(range(used))
            train, test = held_out_tables(outcomes, run.truth if line.on_truth else None)
            tables[used] = train, test, predict_linear(train, test)
        train, test, linear = tables[used]
        exact = line.on_truth and run.truth_is_exact
        result = predict_held_out(train, test, (line.kernel, gamma, ridge), linear, exact=exact)
        found.append(_seen(result, line.target))
    return found


def _seen(result: HeldOut, target: str) -> AtStop:
    observed, predicted, linear = of_target_shown(result, target)
    return AtStop(
        observed, predicted, linear, result.covered(LEVELS), lds(result.observed.values, result.predicted),
        relative_error(result.observed.values, result.predicted),
    )  # fmt: skip


def of_target_shown(result: HeldOut, target: str) -> tuple[Array, Array, Array]:
    """Outcomes held out and both predictions, of one target or of the mean over targets, shape (m',) each."""
    tables = result.observed.values, result.predicted, result.linear
    if target:
        column = result.observed.target_names.index(target)
        observed, predicted, linear = (table[:, column] for table in tables)
    else:
        observed, predicted, linear = (result.fitted.mean_over_targets(table) for table in tables)
    return observed, predicted, linear


def _frames(run: Run, name: str, line: Line, found: Sequence[AtStop]) -> list[Frame]:
    """What the open tab shows at each stop."""
    rings = (
        _rings(run, line) if session.view().tab == 1 and name != "used" and session.view().kernel != "auto" else None
    )
    frames = []
    for place, (stop, (gamma, ridge, used)) in enumerate(zip(found, line.settings, strict=False)):
        charts: dict[str, list[dict[str, Any]]] = {}
        match session.view().tab:
            case 0:
                charts[SCATTER] = _points(stop, moves_linear=name == "used")
            case 1 if rings is not None:
                charts[SURFACE] = [{"trace": RING, "x": [rings[place][0]], "y": [rings[place][1]]}]
            case 2:
                charts[CALIBRATION] = [{"trace": _CURVE, "y": places(stop.covered)}]
        texts = {SCORES: [lds_in_words(stop.lds), error_in_words(stop.relative_error)]}
        where = {
            "gamma": f"γ {1.0 / run.outcomes.K if gamma is None else gamma:.4g}", "ridge": f"Ridge {ridge:.4g}",
            "used": f"{run.m if used is None else used:,} of {run.m:,} subsets used",
        }[name]  # fmt: skip
        said = f"{where}: LDS {texts[SCORES][0]}, relative error {texts[SCORES][1]}."
        frames.append(Frame(charts, said, texts))
    return frames


def _points(stop: AtStop, *, moves_linear: bool) -> list[dict[str, Any]]:
    observed = {"x": places(stop.observed)} if moves_linear else {}
    marks = [{"trace": _POINTS, **observed, "y": places(stop.predicted)}]
    return [*marks, {"trace": _LINEAR_POINTS, **observed, "y": places(stop.linear)}] if moves_linear else marks


def _rings(run: Run, line: Line) -> list[tuple[float, float]]:
    """Where the ring of the leave-one-out surface stands at each stop."""
    kernel = "poly" if line.kernel == "poly" else "rbf"
    shown = run.first(session.view().used)
    surface, _ = surfaces(shown.fits, line.target, kernel, line.on_truth)
    linear = session.view().kernel == "linear"
    return [
        ring_place(surface.gammas, surface.ridges, None if linear else gamma, ridge)
        for gamma, ridge, _ in line.settings
    ]


def lds_in_words(value: float) -> str:
    """An LDS as its metric shows it."""
    return _or_dash(f"{value:.3f}")


def error_in_words(value: float) -> str:
    """A relative error as its metric shows it."""
    return _or_dash(percent(value))


def _or_dash(number: str) -> str:
    return "–" if "nan" in number or "inf" in number else number
