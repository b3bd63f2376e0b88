"""The parts of the Explore page about pairs and subsets: heatmap with a focus pair, ranked pairs, what-if."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.shell import controls, disk, findings, frame, navigation, session, spoken, words
from kernelsm.app.shell.fits import fitted, pair_readout, read_off
from kernelsm.app.shell.open_runs import Run, shown_readout, target_outcomes
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import plain
from kernelsm.charts.interactions import CLICKABLE_UP_TO, clicked_pair, interaction_heatmap
from kernelsm.charts.order import TaskOrder, task_order
from kernelsm.examples.planted.game import PlantedGame, planted_game
from kernelsm.runtime.near_ties import varies
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.reading import Readout
from kernelsm.surrogates.results import Attribution, Interactions, interval_quantile, without_rounding
from kernelsm.surrogates.verdicts import verdicts, what_matters
from kernelsm.surrogates.wording import (
    NOT_MEASURED,
    Verdict,
    amount,
    decimals_for,
    interaction_verdict,
    is_unclear,
    number,
)

_RANKED = 15
_ON_ONE_SCREEN = 16  # tasks
_LETTERS, _MOST_LINES = 28, 4  # that a line of the names of a pair holds, and lines of a row
_RANKED_KEY, _HEATMAP_KEY = "explore_ranked", "explore_heatmap"
_DRAWN, _CLICKED = "explore_drawn", "explore_clicked"


@dataclass(frozen=True)
class Exploration:
    """A fitted surrogate of the current run and what is read off it."""

    run: Run
    surrogate: Surrogate
    kind: str
    readout: Readout
    order: np.ndarray[tuple[int], np.dtype[np.intp]]
    game: PlantedGame | None

    @property
    def attribution(self) -> Attribution:
        """Effects of single tasks."""
        return self.readout.attribution

    @property
    def interactions(self) -> Interactions:
        """Effects of pairs."""
        return self.readout.interactions

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tasks."""
        return self.run.outcomes.task_names

    @property
    def higher_is_better(self) -> bool:
        """Which sign helps."""
        return self.run.outcomes.higher_is_better


def explore(run: Run) -> Exploration:
    """Fit (or find) the surrogate that the view names and read it off."""
    view = session.view()
    kind = shown_readout(run, view.readout)
    fit = run.fits, view.target, *view.surrogate
    readout = read_off(*fit, kind)
    order = task_order(
        cast(TaskOrder, view.order), readout.attribution.values[:, 0], readout.interactions.values[:, :, 0],
        run.outcomes.task_names,
    )  # fmt: skip
    # the game's truth is known at all tasks
    game = planted_game() if run.key == "planted" and view.truth and kind == "leave_one_out" else None
    return Exploration(run, fitted(*fit), kind, readout, order, game)


def say_what_changed(exploration: Exploration) -> None:
    """Have a screen reader say what the controls and the clicks of this page lead to."""
    readout = exploration.readout
    said = findings.tasks_headline(readout)
    if len(exploration.names) > 1:
        said += f" {findings.said_of_pair(readout, *focus_pair(exploration))}"
    spoken.say(said, "explore")


def settings(run: Run) -> None:
    """Draw the controls of the page."""
    # one row on a projector: page.css makes them as narrow as they may be
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="explore_controls"):
        controls.kernel_picker()
        controls.readout_picker(run)
        controls.order_picker()
        controls.target_picker(run)
        # the game's truth is known at all tasks
        if run.key == "planted" and shown_readout(run, session.view().readout) == "leave_one_out":
            controls.truth_toggle()
        controls.used_slider(run, width=180)
    controls.readout_warning(run)
    if session.view().kernel == "linear":
        st.caption(words.LINEAR_INTERVALS)


def heatmap(exploration: Exploration) -> None:
    """Draw the interaction of each pair; a click on a cell makes it the focus pair."""
    st.header("What pairs do together")
    if len(exploration.names) < 2:
        st.info("One task has no pairs.")
        return
    if session.view().kernel == "linear":
        st.info(words.WHY_LINEAR_IS_ZERO, icon=":material/lightbulb:")
    elif not varies(target_outcomes(exploration.run, session.view().target).values).any():
        st.info("These outcomes do not vary: there is nothing to attribute.", icon=":material/lightbulb:")
    elif not exploration.interactions.values.any() and session.view().kernel == "auto":
        st.info(words.WHY_AUTO_IS_ZERO, icon=":material/lightbulb:")
    else:
        st.markdown(findings.pairs_headline(exploration.readout))
    values = exploration.interactions.values[:, :, 0]
    chart = interaction_heatmap(
        values,
        exploration.names,
        unit=exploration.run.unit,
        higher_is_better=exploration.higher_is_better,
        order=exploration.order,
        distinguishable=exploration.readout.clear,
        measured=exploration.interactions.measured,
        focus=_drawn_focus(exploration),
        dark=frame.is_dark(),
        limit=_limit(exploration),
    )
    K = len(exploration.names)
    # page.css keeps few cells on one screen; many would be too small there
    with st.container(key=f"explore_{'few' if K <= _ON_ONE_SCREEN else 'many'}_cells"):
        frame.show(chart, _HEATMAP_KEY, on_click=_take_click if K <= CLICKABLE_UP_TO else None)
    measured = exploration.run.fixed_size
    if exploration.kind == "inclusion" and measured and pair_readout(exploration.run, exploration.kind)[1] is None:
        st.caption(
            f"Subsets of {measured} of {len(exploration.names)} tasks never tell the four combinations of a "
            "pair apart: shown is what the surrogate makes of random subsets of all sizes (p = ½)."
        )
    if said := findings.pairs_caption(exploration.readout):
        st.caption(said, help=findings.WHAT_MATTERS)


def truth_heatmap(exploration: Exploration) -> None:
    """Draw the true interactions, where they are known, on the colours of the estimate."""
    if exploration.game is None:
        return
    st.header("The truth")
    chart = interaction_heatmap(
        exploration.game.interactions(),
        exploration.names,
        unit=exploration.run.unit,
        order=exploration.order,
        dark=frame.is_dark(),
        limit=_limit(exploration),
        clickable=False,
    )
    frame.show(chart, "explore_truth")


def _limit(exploration: Exploration) -> float | None:
    """Range of colours that estimate and truth share."""
    if exploration.game is None:
        return None
    return float(max(np.abs(exploration.interactions.values).max(), np.abs(exploration.game.interactions()).max()))


def focus_pair(exploration: Exploration) -> tuple[int, int]:
    """The pair looked at: the user's choice, else that of the headline, else the strongest."""
    return session.view().focus or findings.listed_pairs(exploration.readout, 1)[0]


def _drawn_focus(exploration: Exploration) -> tuple[int, int]:
    """The pair that the figure outlines.

    A clicked cell is outlined by the browser itself. Drawing it into the figure too would make another figure, which
    Streamlit builds from nothing: a second at 50 tasks. So after a click the figure stays as it was drawn.
    """
    view = session.view()
    dark = frame.is_dark()
    selected = ((st.session_state.get(_HEATMAP_KEY) or {}).get("selection") or {}).get("points")
    figure = (exploration.run.fits, view.target, *view.surrogate, view.order, view.readout, view.truth, dark)
    pair = focus_pair(exploration)
    drawn = st.session_state.get(_DRAWN)
    if drawn and selected and drawn["figure"] == figure and pair == st.session_state.get(_CLICKED):
        return tuple(drawn["focus"])
    st.session_state[_DRAWN] = {"figure": figure, "focus": pair}
    st.session_state.pop(_CLICKED, None)
    return pair


def pair_detail(exploration: Exploration) -> None:
    """Draw the focus pair: its sentence and the 2 x 2 table that is the second difference."""
    st.header("One pair")
    j, k = focus_pair(exploration)
    controls.pair_pickers(exploration.names, (j, k))
    st.markdown(findings.said_of_pair(exploration.readout, j, k))
    kind, size = pair_readout(exploration.run, exploration.kind)
    table = exploration.surrogate.pair_means(j, k, kind, size=size)[:, :, 0]
    first, second = exploration.names[j], exploration.names[k]
    difference = float(table[1, 1] - table[1, 0] - table[0, 1] + table[0, 0])
    margin = exploration.interactions.quantile() * float(
        exploration.interactions.std_of(np.array([j]), np.array([k]))[0, 0]
    )
    decimals = decimals_for(difference, max(margin, abs(difference) / 100), least=4)  # so that the four add up to it
    shown = [[f"{value:.{decimals}f}" for value in row] for row in table]
    st.table(
        pd.DataFrame(
            shown, index=[f"without {plain(first)}", f"with {plain(first)}"],
            columns=[f"without {plain(second)}", f"with {plain(second)}"],
        )
    )  # fmt: skip
    over = (
        words.PAIR_MEANS[exploration.kind]
        if size is None
        else f"mean over random subsets of {size} of {len(exploration.names)} tasks"
    )
    st.caption(
        f"{'Measured' if _is_measured(exploration, j, k) else 'Predicted'} {plain(exploration.run.unit)}, {over}. "
        f"Interaction = {shown[1][1]} - {shown[1][0]} - {shown[0][1]} + {shown[0][0]} = "
        f"{amount(difference, margin, signed=True, measured=_is_measured(exploration, j, k))}."
    )


def _is_measured(exploration: Exploration, j: int, k: int) -> bool:
    measured = exploration.interactions.measured
    return measured is not None and bool(measured[j, k])


def ranked_pairs(exploration: Exploration) -> None:
    """Draw the strongest pairs as a table; choosing a row makes it the focus pair."""
    st.header("Strongest pairs")
    pairs = findings.listed_pairs(exploration.readout, _RANKED)
    table = _ranked(exploration, pairs)
    lines = min(-(-int(table["pair"].str.len().max()) // _LETTERS), _MOST_LINES)
    show_table(
        table, hide_index=True, key=_RANKED_KEY, placeholder="", margins={"value": "±"},
        row_height=12 + 18 * lines if lines > 1 else None,
        on_select=lambda: _take_row(pairs), selection_mode="single-row", height=360,
        column_config={
            "value": st.column_config.NumberColumn(exploration.run.unit, width=80),
            "±": st.column_config.NumberColumn(width=65, help="Half of the 90% interval"),
            "pair": st.column_config.TextColumn(width=200),
            "verdict": st.column_config.TextColumn(width=150, help="All pairs in mind"),
        },
        alt=f"The {len(table)} strongest pairs of tasks with their interaction, those told from zero first",
    )  # fmt: skip


def _ranked(exploration: Exploration, pairs: list[tuple[int, int]]) -> pd.DataFrame:
    """One row per pair: its interaction, half of its interval (none where it is exact), names and verdict."""
    first, second = (np.array(tasks, dtype=np.intp) for tasks in zip(*pairs, strict=True))
    readout, found = exploration.readout, exploration.interactions
    std = found.std_of(first, second)[:, 0]
    margin, values = found.quantile() * std, without_rounding(found.values[first, second, 0], std)
    codes = verdicts(values, margin, readout.clear[first, second], readout.matters)
    names = exploration.names
    said = [
        interaction_verdict(Verdict(code), float(value), exploration.higher_is_better)
        + (", measured" if _is_measured(exploration, j, k) else "")
        for (j, k), code, value in zip(pairs, codes, values, strict=True)
    ]
    return pd.DataFrame(
        {
            "value": values,
            "±": np.where(np.isfinite(margin) & (margin > 0), margin, np.nan),
            "pair": [f"{names[j]} and {names[k]}" for j, k in pairs],
            "verdict": said,
        }
    )


def what_if(run: Run) -> None:
    """Toggle tasks and see the prediction; not where the toggles would lead away from all that was measured."""
    st.header("What if")
    if run.fixed_size:
        _no_toggles(run)
        return
    st.markdown("Toggle tasks in and out of the subset and see what the surrogate predicts.")
    _prediction(run.fits)
    st.button("All tasks in", icon=":material/select_all:", on_click=session.update, kwargs={"off": ()})


def _no_toggles(run: Run) -> None:
    """Say why no single task can be toggled, and where to go for a prompt."""
    size, K = run.fixed_size, run.outcomes.K
    if run.prompts:
        st.markdown(
            f"Every prompt measured holds {size} of the {K} demonstrations: what the surrogate says of prompts with "
            "more or fewer would be a guess. Demonstrations predicts whole prompts as you fill their slots."
        )
        st.page_link(
            navigation.DEMONSTRATIONS, label="Pick demonstrations into slots on Demonstrations",
            icon=":material/format_list_numbered:",
        )  # fmt: skip
        return
    st.markdown(
        f"Every subset measured holds {size} of {K} tasks. With a task toggled in or out it would hold another "
        "number, of which nothing was measured: a prediction would be a guess, so none is shown."
    )


@st.fragment
@disk.telling
def _prediction(key: str) -> None:
    """Draw the toggles and the prediction alone: every element more costs a toggle ten milliseconds or two."""
    exploration = _for_prediction(key)
    names = exploration.run.outcomes.task_names
    controls.task_pills(names)
    mask = np.ones((2, len(names)))
    mask[1, list(session.view().off)] = 0.0
    predicted, std = (float(table.ravel()[0]) for table in exploration.surrogate.predict(mask[1:], return_std=True))
    change, doubt = (float(table.ravel()[0]) for table in exploration.surrogate.predict_change(mask[1:], mask[0]))
    margin = exploration.quantile * doubt if session.view().off else 0.0  # from itself nothing differs
    verdict = _change_verdict(exploration, change, margin)
    helps = (change > 0) == exploration.run.outcomes.higher_is_better
    is_clear = verdict == Verdict.CLEAR
    st.metric(
        f"Predicted {plain(exploration.run.unit)}", amount(predicted, exploration.quantile * std),
        f"{amount(change, margin, signed=True)} against all tasks",
        delta_color="off" if not is_clear else "blue" if helps else "orange",
        delta_arrow="auto" if is_clear else "off",
    )  # fmt: skip
    linear = float(exploration.linear.predict(mask[1:]).ravel()[0])
    said = {
        Verdict.CLEAR: f"predicted {'better' if helps else 'worse'} than with all tasks",
        Verdict.NOT_MEASURED: f"the difference from all tasks is {NOT_MEASURED}",
    }.get(verdict, "predicted as with all tasks")
    how_many = f"{len(names) - len(session.view().off)} of {len(names)} tasks are in: {said}."
    st.markdown(f"{how_many} A tuned linear surrogate says {number(linear, digits=4)}.")
    spoken.say(f"{amount(predicted, exploration.quantile * std)}. {how_many}", "what_if")
    session.publish()  # last: the prediction need not wait for the address bar


def _change_verdict(exploration: Prediction, change: float, margin: float) -> Verdict:
    """What is known of the difference from all tasks; of one task left out, what the bars say of it."""
    view, run = session.view(), exploration.run
    off = [k for k in view.off if k < run.outcomes.K]
    if len(off) == 1 and shown_readout(run, view.readout) == "leave_one_out":
        return Verdict(read_off(run.fits, view.target, *view.surrogate, "leave_one_out").task_verdicts[off[0]])
    matters = float(what_matters(target_outcomes(run, view.target).values, run.outcomes.K)[0])
    clear = np.array([change != 0 and not is_unclear(change, margin)])
    return Verdict(verdicts(np.array([change]), np.array([margin]), clear, matters)[0])


@dataclass(frozen=True)
class Prediction:
    """What the what-if strip needs."""

    run: Run
    surrogate: Surrogate
    linear: Surrogate

    @property
    def quantile(self) -> float:
        """Standard deviations that a 90% interval reaches to either side."""
        return interval_quantile(self.surrogate.degrees_of_freedom_)


def _for_prediction(key: str) -> Prediction:
    """Find the fitted surrogates of the view without reading them off."""
    view = session.view()
    return Prediction(
        frame.current_run(),
        fitted(key, view.target, *view.surrogate),
        fitted(key, view.target, "tuned_linear", None, 0.0),
    )


def sign_note(exploration: Exploration) -> None:
    """Say once which sign helps, and what the unit is."""
    st.caption(words.sign(exploration.run.unit, higher_is_better=exploration.higher_is_better))


def _take_click() -> None:
    K = frame.current_run().outcomes.K
    event = st.session_state.get(_HEATMAP_KEY) or {}
    pair = clicked_pair(event.get("selection") or {}, K)
    if pair is not None:
        st.session_state[_CLICKED] = pair
        session.update(focus=pair)


def _take_row(pairs: list[tuple[int, int]]) -> None:
    rows = st.session_state[_RANKED_KEY].selection.rows
    if rows and rows[0] < len(pairs):
        j, k = pairs[rows[0]]
        session.update(focus=(min(j, k), max(j, k)))
