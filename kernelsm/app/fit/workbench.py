"""The parts of the Fit page: held-out scores with a verdict, leave-one-out surface, calibration, and the γ sweep."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import streamlit as st

from kernelsm.app.fit.following import (
    CALIBRATION,
    LEVELS,
    ON_RELEASE,
    SCATTER,
    SCORES,
    SURFACE,
    VERDICT,
    error_in_words,
    follow,
    lds_in_words,
    of_target_shown,
    too_many,
)
from kernelsm.app.shell import controls, disk, frame, session, spoken, words
from kernelsm.app.shell.chart_keys import chart_button
from kernelsm.app.shell.fits import HeldOut, held_out, interaction_gains, surfaces, sweep_chart
from kernelsm.app.shell.open_runs import Run
from kernelsm.app.shell.outlying_rows import show_outlying_rows
from kernelsm.app.shell.words import KERNEL_NAMES, plain
from kernelsm.charts.calibration import calibration_plot
from kernelsm.charts.fit import predicted_vs_observed
from kernelsm.charts.surface import clicked_point, loo_heatmap
from kernelsm.evaluation.comparison import PairedGain
from kernelsm.surrogates.reading import MEAN_TARGET
from kernelsm.surrogates.tuning import LooSurface
from kernelsm.surrogates.wording import NOT_MEASURED, decimals_for, percent

TAB_KEY = "fit_tab"
_TABS = ["Predicted against observed", "Which γ and ridge?", "Can its intervals be trusted?", "What γ does"]
_WORTH_IT = 0.1  # of the linear surrogate's error: a smaller gain would not make interactions worth looking at


@st.fragment
@disk.telling
def workbench(run: Run) -> None:
    """Draw the controls and what they change, alone: a slider need not wait for the rest of the page.

    `run` is that of all subsets: of how many is a slider's choice.
    """
    run = run.first(session.view().used)
    with st.container(horizontal=True, gap="medium"):
        controls.kernel_picker()
        controls.target_picker(run)
    view = session.view()
    on_truth = run.truth is not None and view.tested == "truth"
    # the sliders beside the picture that they move
    grid = st.grid(3, min_column_width=240, gap="medium")
    with grid.cell():
        controls.gamma_slider(run.outcomes.K)
        controls.ridge_slider()
        controls.used_slider(run)
        if run.whole is not None:
            st.caption(f"Fitted on the first {run.outcomes.m:,} of {run.whole:,} subsets.")
        controls.why_sliders_rest()
        if too_many(run, on_truth):
            st.caption(ON_RELEASE)
        result = held_out(run.fits, _looked_at(), view.gamma, view.ridge, on_truth)
        scores(result)
    with grid.cell(column_span=2):
        pictures(run, result, on_truth)
    tested_on(run)
    verdict(run, result, on_truth)
    follow(run, on_truth, _looked_at())
    session.publish()


def pictures(run: Run, result: HeldOut, on_truth: bool) -> None:
    """Draw the tabs; only the open one is computed and drawn: a slider redraws one chart."""
    st.session_state.setdefault(TAB_KEY, _TABS[session.view().tab])
    tabs = predictions, point, intervals, play = st.tabs(_TABS, key=TAB_KEY, on_change="rerun")
    session.update(tab=next((place for place, tab in enumerate(tabs) if tab.open), 0))
    if predictions.open:
        with predictions:
            scatter(run, result)
    if point.open:
        with point:
            surface(run, on_truth)
    if intervals.open:
        with intervals:
            calibration(result)
    if play.open:
        with play:
            sweep(run, on_truth)


def tested_on(run: Run) -> None:
    """Let the user choose what the surrogates are tested on, where there is a choice."""
    if run.truth is None:
        return
    truth = f"{run.example.truth_is if run.example else 'held-out truth'}"
    options = {"truth": f"The truth: {truth}", "split": "A fifth of the subsets, held out"}
    controls.tested_picker(options)


def _looked_at() -> str:
    """The surrogate beside the linear one; where that is the linear one itself, the RBF kernel."""
    kernel = session.view().kernel
    return "rbf" if kernel == "linear" else kernel


def _of_sliders() -> str:
    """The kernel whose γ and ridge the sliders are."""
    return "poly" if session.view().kernel == "poly" else "rbf"


def scores(result: HeldOut) -> None:
    """Draw the scores against the tuned linear surrogate."""
    name = KERNEL_NAMES[_looked_at()]
    rank, error = result.gains["lds"], result.gains["relative_error"]
    with st.container(horizontal=True, gap="small", key=SCORES):
        st.metric(
            f"LDS, {name}", lds_in_words(rank.first),
            _against(f"{rank.gain:+.{decimals_for(rank.gain, least=3)}f}"),
            delta_color=_colour(rank, 1), width="content", help=words.LDS,
        )  # fmt: skip
        st.metric(
            f"Relative error, {name}", error_in_words(error.first), _against(_points(error.gain, signed=True)),
            delta_color=_colour(error, -1), width="content",
            help="Mean absolute error over mean absolute outcome",
        )  # fmt: skip


def verdict(run: Run, result: HeldOut, on_truth: bool) -> None:
    """Say in words what the scores mean."""
    name = KERNEL_NAMES[_looked_at()]
    rank, error = result.gains["lds"], result.gains["relative_error"]
    said = f"{_verdict(name, rank, error)} {_interaction_verdict(*interaction_gains(run.fits, on_truth))}"
    with st.container(key=VERDICT):
        st.markdown(said)
        if result.choice:
            st.markdown(result.choice)
    spoken.say(f"LDS {lds_in_words(rank.first)}, relative error {error_in_words(error.first)}. {said}", "fit")
    show_outlying_rows(result.fitted, result.set_aside, numbered=on_truth)
    if result.ranks_only:
        names = ", ".join(plain(name) for name in result.ranks_only[:5]) + (
            " ..." if len(result.ranks_only) > 5 else ""
        )
        st.warning(
            f"For {len(result.ranks_only)} of {result.observed.q} targets only the order of the predictions means "
            f"something, not their size: {names}.",
            icon=":material/warning:",
        )
    st.caption(
        f"{words.LDS} Relative error: mean absolute error over mean absolute outcome. The linear surrogate's ridge "
        "is tuned by leave-one-out. Intervals are 90%, over held-out subsets; a difference is coloured only where "
        "its interval does not hold zero."
    )


def _colour(gain: PairedGain, better_sign: int) -> Literal["off", "blue", "orange"]:
    """A difference has the colour of better or worse where the sentence below says so too."""
    return "off" if not gain.is_clear else "blue" if gain.gain * better_sign > 0 else "orange"


def _points(share: float, *, signed: bool = False) -> str:
    """A difference of percentages."""
    return f"{_bare(share, signed=signed)} points"


def _bare(share: float, *, signed: bool = False) -> str:
    return percent(share, signed=signed).removesuffix("%")


def _against(gain: str) -> str | None:
    return None if "nan" in gain or "inf" in gain else f"{gain} against linear"


def _verdict(name: str, rank: PairedGain, error: PairedGain) -> str:
    if not all(map(math.isfinite, (rank.gain, rank.low, error.gain, error.low))):
        return "Too few held-out subsets, or outcomes that do not vary: the two cannot be compared here."
    parts = []
    if rank.is_clear:
        better = "better" if rank.gain > 0 else "worse"
        parts.append(f"ranks subsets **{better}** (LDS {_span(rank)})")
    if error.is_clear:
        side = "smaller" if error.gain < 0 else "larger"
        low, high = sorted((abs(error.low), abs(error.high)))
        parts.append(f"has a relative error **{side}** by {_points(abs(error.gain))} ({_bare(low)} to {_bare(high)})")
    if not parts:
        return (
            f"On these subsets {name} **cannot be told apart** from the tuned linear surrogate (LDS {_span(rank)})."
        )
    return f"Against the tuned linear surrogate, {name} {' and '.join(parts)}."


def _span(gain: PairedGain) -> str:
    """A difference and its interval, with the same decimals."""
    decimals = decimals_for(gain.gain, gain.low, gain.high, least=3)
    return ", ".join([f"{gain.gain:+.{decimals}f}", f"{gain.low:+.{decimals}f} to {gain.high:+.{decimals}f}"])


def _interaction_verdict(rank: PairedGain, error: PairedGain) -> str:
    """Is there an interaction at all? Tuned RBF against tuned linear: nothing else differs."""
    if not math.isfinite(error.low):
        return ""
    errors = f"relative error {percent(error.first)} against {percent(error.second)}"
    ranks = f"LDS {rank.first:.3f} against {rank.second:.3f}"
    smaller, better = error.high < 0, rank.low > 0
    if smaller and not rank.high < 0:
        return f"**There are interactions**: an RBF surrogate tuned alike predicts better than linear ({errors})."
    if better and not error.low > 0 and error.gain < 0:
        return f"**There are interactions**: an RBF surrogate tuned alike ranks better than linear ({ranks})."
    if smaller:
        return (
            f"**There are interactions**: an RBF surrogate tuned alike comes closer than linear ({errors}), but "
            f"ranks less well ({ranks})."
        )
    if error.low < -_WORTH_IT * error.second and error.high > 0:
        return (
            f"**Whether there are interactions is {NOT_MEASURED}**: an RBF surrogate tuned alike may do better than "
            f"linear, or not ({errors}; the difference {_bare(error.low, signed=True)} to "
            f"{_points(error.high, signed=True)})."
        )
    return (
        "**No sign of interactions** on the held-out subsets: an RBF surrogate tuned alike is no better than the "
        f"linear one ({errors})."
    )


def scatter(run: Run, result: HeldOut) -> None:
    """Draw predicted against observed for the chosen target, the surrogate and the linear one side by side."""
    view = session.view()
    names = run.outcomes.target_names
    columns = of_target_shown(result, view.target)
    title = {"auto": "Auto"}.get(_looked_at(), f"{KERNEL_NAMES[_looked_at()]} kernel")
    chart = predicted_vs_observed(
        columns[0], {title: columns[1], "Linear, tuned": columns[2]}, unit=run.unit, dark=frame.is_dark()
    )
    target = view.target or (MEAN_TARGET if len(names) > 1 else names[0])
    frame.show(chart, SCATTER, toolbar=False)
    st.caption(
        f"{result.observed.m} subsets that neither surrogate has seen, {result.trained_on} fitted. "
        f"Target: {plain(target)}.{f' {told}' if (told := words.unit_help(run.unit)) else ''}"
    )


def surface(run: Run, on_truth: bool) -> None:
    """Draw the leave-one-out error of every γ and ridge; a click takes the point."""
    view = session.view()
    kernel = _of_sliders()
    loo_surface, linear = surfaces(run.fits, view.target, kernel, on_truth)
    gamma, ridge = loo_surface.best
    least = float(loo_surface.relative.min())
    st.markdown(
        f"Leaving each subset out once: least error at γ = {gamma:.3g}, ridge {ridge:.2g}, **{least:.3g}** of what "
        f"predicting the mean costs; linear at its best {float(linear.relative.min()):.3g}. Click a cell to take it."
    )
    gamma_now = None if view.kernel == "linear" else (view.gamma or 1.0 / run.outcomes.K)
    chart = loo_heatmap(
        loo_surface.gammas, loo_surface.ridges, loo_surface.relative, linear.relative[0],
        current=None if view.kernel == "auto" else (gamma_now, view.ridge), dark=frame.is_dark(),
    )  # fmt: skip
    frame.show(chart, SURFACE, toolbar=False, on_click=lambda: _take_click(loo_surface, kernel))
    st.button(
        "Use the best", icon=":material/star:", on_click=session.update,
        kwargs={"kernel": kernel, "gamma": gamma, "ridge": ridge},
        disabled=view.kernel == kernel and (view.gamma, view.ridge) == (gamma, ridge),
    )  # fmt: skip


def _take_click(loo_surface: LooSurface, kernel: str) -> None:
    event = st.session_state.get(SURFACE) or {}
    point = clicked_point(event.get("selection") or {}, loo_surface.gammas, loo_surface.ridges)
    if point is not None and point[0] is None:
        session.update(kernel="linear", ridge=point[1])
    elif point is not None:
        session.update(kernel=kernel, gamma=point[0], ridge=point[1])


def calibration(result: HeldOut) -> None:
    """Draw whether the intervals of predictions hold what they promise."""
    covered = result.covered(LEVELS)
    if np.isnan(covered).any():
        st.info("No interval is known here: there are too few subsets, or the outcomes do not vary.")
        return
    at_ninety = float(result.covered(np.array([0.9]))[0])
    st.markdown(
        f"90% intervals of {KERNEL_NAMES[_looked_at()]} hold **{at_ninety:.0%}** of the outcomes of "
        f"{result.observed.m} held-out subsets, all targets taken together. Below the band they are too narrow, "
        "above it too wide."
    )
    chart = calibration_plot(LEVELS, covered, result.observed.m, dark=frame.is_dark())
    frame.show(chart, CALIBRATION, toolbar=False)


def sweep(run: Run, on_truth: bool) -> None:
    """Draw what γ does, played in the browser."""
    st.markdown(words.SWEEP)
    chart = sweep_chart(run.fits, session.view().target, _of_sliders(), on_truth, dark=frame.is_dark())
    chart_button("▶ Play γ", "fit_sweep")
    frame.show(chart, "fit_sweep", toolbar=False)
