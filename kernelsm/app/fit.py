"""The parts of the Fit page: held-out scores, predicted against observed, and a verdict in words."""

from __future__ import annotations

import math

import streamlit as st

from kernelsm.app import controls, frame, session
from kernelsm.app.runs import MEAN_TARGET, HeldOut, Run, held_out
from kernelsm.app.words import KERNEL_NAMES, plain
from kernelsm.charts.fit import predicted_vs_observed

_AGAINST = "kernelsm_fit_against"
_CLEAR = 0.01


@st.fragment
def workbench(run: Run) -> None:
    """Draw the controls and what they change, alone: a slider need not wait for the rest of the page."""
    with st.container(horizontal=True, gap="medium"):
        controls.kernel_picker()
        controls.target_picker(run)
    gamma, ridge = frame.panels(narrowest=260)
    with gamma:
        controls.gamma_slider(run.outcomes.K)
    with ridge:
        controls.ridge_slider()
    result = test(run, against_truth(run))
    scores(result)
    scatter(run, result)
    session.publish()


def against_truth(run: Run) -> bool:
    """Let the user choose what the surrogates are tested on; True for the example's held-out truth."""
    if run.truth is None:
        return False
    truth = f"{run.example.truth_is if run.example else 'held-out truth'}"
    options = {"truth": f"The truth: {truth}", "split": "A fifth of the subsets, held out"}
    chosen = st.radio(
        "Test on", list(options), format_func=options.__getitem__, key=_AGAINST, horizontal=True,
        persist_state="session",
    )  # fmt: skip
    return chosen == "truth"


def test(run: Run, on_truth: bool) -> HeldOut:
    """Fit both surrogates and predict the held-out subsets."""
    view = session.view()
    return held_out(run.key, "rbf" if view.kernel == "linear" else view.kernel, view.gamma, view.ridge, on_truth)


def scatter(run: Run, result: HeldOut) -> None:
    """Draw predicted against observed for the chosen target, kernel and linear side by side."""
    view = session.view()
    names = run.outcomes.target_names
    if view.target:
        j = names.index(view.target)
        columns = [table[:, j] for table in (result.observed.values, result.kernel, result.linear)]
    else:
        columns = [table.mean(axis=1) for table in (result.observed.values, result.kernel, result.linear)]
    kernel = KERNEL_NAMES["rbf" if view.kernel == "linear" else view.kernel]
    chart = predicted_vs_observed(columns[0], {f"{kernel} kernel": columns[1], "Linear": columns[2]}, unit=run.unit)
    st.subheader("Predicted against observed")
    target = view.target or (MEAN_TARGET if len(names) > 1 else names[0])
    st.caption(
        f"{result.observed.m} subsets that neither surrogate has seen, {result.trained_on} fitted. "
        f"Target: {plain(target)}."
    )
    frame.show(chart, "fit_scatter", toolbar=False)


def scores(result: HeldOut) -> None:
    """Draw the scores of both surrogates and say in words which predicts better."""
    kernel, linear = result.scores()
    gain = float(kernel["LDS (all targets)"]) - float(linear["LDS (all targets)"])
    error = float(linear["relative error"]) - float(kernel["relative error"])
    with st.container(horizontal=True, gap="large"):
        st.metric(
            "LDS, kernel", f"{kernel['LDS (all targets)']:.3f}", f"{gain:+.3f} against linear",
            delta_color="blue" if gain >= 0 else "orange", width="content",
        )  # fmt: skip
        st.metric(
            "Relative error, kernel", f"{kernel['relative error']:.1%}", f"{-error:+.1%} against linear",
            delta_color="blue" if error >= 0 else "orange", width="content",
        )  # fmt: skip
    st.markdown(_verdict(gain, error))
    st.caption(
        "LDS: mean over targets of the rank correlation between predicted and true outcomes. "
        "Relative error: mean absolute error over mean absolute outcome."
    )


def _verdict(gain: float, error: float) -> str:
    if not (math.isfinite(gain) and math.isfinite(error)):
        return "Too few held-out subsets, or outcomes that do not vary: the two cannot be compared here."
    if abs(gain) < _CLEAR and abs(error) < _CLEAR:
        return "At this γ and λ the kernel surrogate predicts **as well as** the linear one."
    parts = []
    if abs(gain) >= _CLEAR:
        parts.append(f"ranks subsets **{'better' if gain > 0 else 'worse'}** (LDS {gain:+.3f})")
    if abs(error) >= _CLEAR:
        parts.append(f"has a relative error **{'lower' if error > 0 else 'higher'}** by {abs(error):.1%}")
    both = gain >= -_CLEAR and error >= -_CLEAR
    end = "." if both else ". Try other γ and λ."
    return f"Against the linear surrogate, the kernel one {' and '.join(parts)}{end}"
