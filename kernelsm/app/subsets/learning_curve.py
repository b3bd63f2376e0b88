"""The part of the Subsets page that says whether there are enough of them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from kernelsm.app.shell import frame, session, spoken
from kernelsm.app.shell.open_runs import Run, open_run, target_outcomes
from kernelsm.app.shell.words import KERNEL_NAMES, duration, plain
from kernelsm.charts.learning import learning_curve_chart
from kernelsm.evaluation.learning_curve import LearningCurve, learning_curve
from kernelsm.outcomes.completeness import different_rows, only_size, subsets_left
from kernelsm.outcomes.repeated_rows import rows_agree
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.kernel import KernelSurrogateCV
from kernelsm.surrogates.reading import TUNING_ROWS, new_surrogate

# above this many subsets the fits take seconds: they wait for a click
AT_ONCE = 1_500
_MOSTLY_LEFT, _NEARLY, _LITTLE = 0.5, 1.25, 0.1
_ASKED = "kernelsm_subsets_asked"


def show_learning_curve(run: Run) -> None:
    """Draw the learning curve and say whether more subsets would help."""
    view = session.view()
    st.header("Are there enough subsets?")
    m = run.outcomes.m
    if not subsets_left(run.outcomes.masks):
        st.success(nothing_left(run.outcomes), icon=":material/check_circle:")
        return
    cost = f"30 surrogates are fitted to up to {m - m // 5:,} subsets; the time grows with the cube of their number"
    if m > AT_ONCE and not asked_for(run, "curve", "Draw the learning curve", cost, 3.0 * (m / 3000) ** 3 + 1.0):
        return
    try:
        curve = _curve(run.key, view.target, *view.surrogate)
    except InputError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    st.markdown(sentence(curve))
    spoken.say(sentence(curve), "curve")
    numbers = np.geomspace(curve.sizes[0], curve.doubled, 80)
    chart = learning_curve_chart(
        curve.sizes, curve.errors, fitted_curve=(numbers, curve.expected(numbers)), m=m,
        recommended=curve.recommended, dark=frame.is_dark(),
    )  # fmt: skip
    frame.show(chart, "subsets_curve", toolbar=False)
    kernel = "rbf" if view.kernel == "auto" else view.kernel
    parameters = "ridge" if kernel == "linear" else "γ and ridge"
    chosen = "chosen once on all subsets" if view.kernel == "auto" else "of Fit"
    st.caption(
        f"Dots: mean of {curve.errors.shape[1]} random splits, with the lowest and the highest. Line: "
        "error = floor + slope / number^power, dashed where nothing was measured. Enough: within a tenth of the "
        f"floor, or below 2%. Surrogate: {KERNEL_NAMES[kernel]}, {parameters} {chosen}."
    )


def sentence(curve: LearningCurve) -> str:
    """Say whether there are enough subsets, and what more of them are expected to bring."""
    left_now, left_later = (float(curve.expected(count)) for count in (curve.m, curve.doubled))
    left = f"{curve.m:,} subsets leave about {percent(left_now)} of the variance unexplained on held-out subsets"
    more = "twice as many" if curve.doubled == 2 * curve.m else f"the {curve.left:,} that are not measured"
    doubled = f"with {more} about {percent(left_later)} are expected"
    if left_now >= 1:
        return (
            f"**{curve.m:,} subsets tell nothing yet.** On held-out subsets this surrogate does no better than the "
            "mean: there is only noise, or it takes many more."
        )
    if left_now > _MOSTLY_LEFT and (curve.is_enough or curve.gain_of_doubling < _LITTLE):
        return f"**More subsets would hardly help.** {left}: noise, or effects that this surrogate cannot learn."
    if curve.is_enough:
        return f"**{curve.m:,} subsets are enough for this surrogate.** {left}; {doubled}."
    if curve.takes_all:
        rest = "the one that is" if curve.left == 1 else f"all {curve.left:,} that are"
        return f"**More subsets would help.** {left}: measure {rest} left."
    if curve.recommended >= 10 * curve.m:
        return f"**Many more subsets would help.** {left}; {doubled}. {10 * curve.m:,} may still be too few."
    size = 10 ** max(len(str(curve.recommended)) - 2, 0)
    about = -(-curve.recommended // size) * size
    about = about if curve.left is None else min(about, curve.m + curve.left)
    verdict = f"{curve.m:,} subsets are nearly enough" if about <= _NEARLY * curve.m else "More subsets would help"
    return f"**{verdict}.** {left}; {doubled}. About {about:,} would be enough."


def nothing_left(outcomes: Outcomes) -> str:
    """Say that a table holds every subset there is."""
    size, count = only_size(outcomes.masks), len(different_rows(outcomes.masks))
    tasks = "task" if size == 1 else "tasks"
    counted = f"2^{outcomes.K} = {count:,} subsets" if size is None else f"{count:,} subsets of {size} {tasks}"
    again = (
        " Some were measured more than once, with other outcomes: they are noisy, so further repeats would narrow "
        "their means."
        if not rows_agree(outcomes.masks.astype(np.float64), outcomes.values)
        else ""
    )
    return f"All {counted} are measured: there is none left to measure.{again}"


def percent(share: float) -> str:
    """Return a share in percent, small ones with one decimal."""
    return f"{share:.1%}" if share < 0.0995 else f"{share:.0%}"


def asked_for(run: Run, what: str, label: str, cost: str, seconds: float) -> bool:
    """Whether the user has asked for something slow; draws the button and its cost where not."""
    asked: set[tuple[str, str]] = st.session_state.setdefault(_ASKED, set())
    if (run.key, what) in asked:
        return True
    st.button(
        label, icon=":material/play_arrow:", key=f"{_ASKED}_{what}", on_click=asked.add, args=((run.key, what),)
    )
    st.caption(f"{cost}: {duration(seconds)} here.")
    return False


@st.cache_resource(max_entries=32, show_spinner="Choosing γ and the ridge ...")
def tuned_parameters(key: str, target: str) -> tuple[float, float]:
    """γ and ridge of an RBF surrogate of one target, by leave-one-out."""
    tuned = KernelSurrogateCV(tuning_rows=TUNING_ROWS).fit_outcomes(target_outcomes(open_run(key), target))
    return tuned.gamma_, tuned.ridge_


@st.cache_resource(max_entries=16, show_spinner="Fitting growing parts of the table ...")
def _curve(key: str, target: str, kernel: str, gamma: float | None, ridge: float) -> LearningCurve:
    """Learning curve of one target. Shared by all sessions: never change it."""
    surrogate: Surrogate
    if kernel == "auto":
        surrogate = new_surrogate("rbf", *tuned_parameters(key, target))
    else:
        surrogate = new_surrogate(kernel, gamma, ridge)
    return learning_curve(target_outcomes(open_run(key), target), surrogate)
