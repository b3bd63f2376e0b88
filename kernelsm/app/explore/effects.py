"""The parts of the Explore page: bars, heatmap with a focus pair, ranked pairs, what-if."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.shell import controls, frame, navigation, session, words
from kernelsm.app.shell.fits import Readout, fitted, pair_readout, read_off
from kernelsm.app.shell.open_runs import Run, shown_readout, target_outcomes
from kernelsm.app.shell.sentences import pair_sentence, strongest_pair, strongest_task, task_sentence
from kernelsm.app.shell.words import plain
from kernelsm.charts.attribution import attribution_bars
from kernelsm.charts.interactions import CLICKABLE_UP_TO, clicked_pair, interaction_heatmap
from kernelsm.charts.order import task_order
from kernelsm.examples.planted.game import PlantedGame, planted_game
from kernelsm.runtime.near_ties import varies
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.results import Attribution, Interactions, interval_quantile
from kernelsm.surrogates.wording import amount, is_unclear

_RANKED = 15
_ONE_LINE, _WRAPPED = 28, 84  # letters that a line of the names of a pair holds; pixels of four lines
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
    fit = run.key, view.target, *view.surrogate
    readout = read_off(*fit, kind)
    order = task_order(
        "strength" if view.order == "strength" else "clustered" if view.order == "clustered" else "given",
        readout.attribution.values[:, 0], readout.interactions.values[:, :, 0],
    )  # fmt: skip
    # the game's truth is known at all tasks
    game = planted_game() if run.key == "planted" and view.truth and kind == "leave_one_out" else None
    return Exploration(run, fitted(*fit), kind, readout, order, game)


def settings(run: Run) -> None:
    """Draw the controls of the page."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        controls.kernel_picker()
        controls.readout_picker(run)
        controls.order_picker()
        controls.target_picker(run)
        if run.key == "planted":
            controls.truth_toggle()
    controls.readout_warning(run)


def bars(exploration: Exploration) -> None:
    """Draw the attribution of each task."""
    st.subheader("What each task does")
    st.markdown(task_sentence(exploration.attribution, strongest_task(exploration.attribution)))
    truth = exploration.game.attribution() if exploration.game else None
    chart = attribution_bars(
        exploration.attribution.values[:, 0],
        exploration.names,
        unit=exploration.run.unit,
        higher_is_better=exploration.higher_is_better,
        order=exploration.order,
        margin=exploration.attribution.margin()[:, 0],
        truth=truth,
    )
    frame.show(chart, "explore_bars")
    st.caption(
        "Whiskers are 90% intervals; pale bars cannot be told from no effect."
        + (" Diamonds: the true effects." if truth is not None else "")
        + _swap_note(exploration)
    )


def _swap_note(exploration: Exploration) -> str:
    """Say what an effect means with subsets of one size, where adding a task removes another one."""
    size = exploration.run.fixed_size if exploration.kind == "inclusion" else None
    return f" Each subset holds {size} tasks: one that is in takes the place of another." if size else ""


def heatmap(exploration: Exploration) -> None:
    """Draw the interaction of each pair; a click on a cell makes it the focus pair."""
    st.subheader("What pairs do together")
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
        st.markdown(pair_sentence(exploration.interactions, *strongest_pair(exploration.interactions)))
    values = exploration.interactions.values[:, :, 0]
    chart = interaction_heatmap(
        values,
        exploration.names,
        unit=exploration.run.unit,
        higher_is_better=exploration.higher_is_better,
        order=exploration.order,
        distinguishable=exploration.readout.clear,
        focus=_drawn_focus(exploration),
        dark=frame.is_dark(),
        limit=_limit(exploration),
    )
    st.plotly_chart(
        chart.figure, key=_HEATMAP_KEY, alt=chart.alt, config=frame.CHART_CONFIG, selection_mode="points",
        on_select=_take_click if len(exploration.names) <= CLICKABLE_UP_TO else "ignore",
    )  # fmt: skip
    measured = exploration.run.fixed_size
    if exploration.kind == "inclusion" and measured and pair_readout(exploration.run, exploration.kind)[1] is None:
        st.caption(
            f"Subsets of {measured} of {len(exploration.names)} tasks never tell the four combinations of a "
            "pair apart: shown is what the surrogate makes of random subsets of all sizes (p = ½)."
        )
    st.caption(_clear_pairs_sentence(exploration))


def _clear_pairs_sentence(exploration: Exploration) -> str:
    clear, pairs = (
        int(exploration.readout.clear.sum()) // 2,
        len(exploration.names) * (len(exploration.names) - 1) // 2,
    )
    if clear == 0:
        return f"None of the {pairs:,} pairs can be told from zero: the surrogate sees no sure interaction here."
    return (
        f"{clear:,} of {pairs:,} pairs can be told from zero; the others are veiled. With so many looked at, about "
        "one in ten of the clear ones may be chance (Benjamini-Hochberg)."
    )


def truth_heatmap(exploration: Exploration) -> None:
    """Draw the true interactions, where they are known, on the colours of the estimate."""
    if exploration.game is None:
        return
    st.subheader("The truth")
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
    """The pair looked at: the user's choice, else the strongest."""
    return session.view().focus or strongest_pair(exploration.interactions)


def _drawn_focus(exploration: Exploration) -> tuple[int, int]:
    """The pair that the figure outlines.

    A clicked cell is outlined by the browser itself. Drawing it into the figure too would make another figure, which
    Streamlit builds from nothing: a second at 50 tasks. So after a click the figure stays as it was drawn.
    """
    view = session.view()
    dark = frame.is_dark()
    selected = ((st.session_state.get(_HEATMAP_KEY) or {}).get("selection") or {}).get("points")
    figure = (exploration.run.key, view.target, *view.surrogate, view.order, view.readout, view.truth, dark)
    pair = focus_pair(exploration)
    drawn = st.session_state.get(_DRAWN)
    if drawn and selected and drawn["figure"] == figure and pair == st.session_state.get(_CLICKED):
        return tuple(drawn["focus"])
    st.session_state[_DRAWN] = {"figure": figure, "focus": pair}
    st.session_state.pop(_CLICKED, None)
    return pair


def pair_detail(exploration: Exploration) -> None:
    """Draw the focus pair: its sentence and the 2 x 2 table that is the second difference."""
    st.subheader("One pair")
    j, k = focus_pair(exploration)
    controls.pair_pickers(exploration.names, (j, k))
    st.markdown(pair_sentence(exploration.interactions, j, k))
    kind, size = pair_readout(exploration.run, exploration.kind)
    table = exploration.surrogate.pair_means(j, k, kind, size=size)[:, :, 0]
    first, second = exploration.names[j], exploration.names[k]
    st.table(
        pd.DataFrame(
            [[f"{value:.4f}" for value in row] for row in table],
            index=[f"without {plain(first)}", f"with {plain(first)}"],
            columns=[f"without {plain(second)}", f"with {plain(second)}"],
        )
    )
    difference = table[1, 1] - table[1, 0] - table[0, 1] + table[0, 0]
    margin = exploration.interactions.quantile() * float(
        exploration.interactions.std_of(np.array([j]), np.array([k]))[0, 0]
    )
    over = (
        words.PAIR_MEANS[exploration.kind]
        if size is None
        else f"mean over random subsets of {size} of {len(exploration.names)} tasks"
    )
    st.caption(
        f"Predicted {plain(exploration.run.unit)}, {over}. "
        f"Interaction = {table[1, 1]:.4f} - {table[1, 0]:.4f} - {table[0, 1]:.4f} + {table[0, 0]:.4f} = "
        f"{amount(difference, margin or None, '+z.4f')}."
    )


def ranked_pairs(exploration: Exploration) -> None:
    """Draw the strongest pairs as a table; choosing a row makes it the focus pair."""
    st.subheader("Strongest pairs")
    top = exploration.interactions.top(_RANKED)
    pairs = [(int(j), int(k)) for j, k in zip(*exploration.interactions.strongest(_RANKED), strict=True)]
    top["std"] *= exploration.interactions.quantile()
    top["clear"] = [bool(exploration.readout.clear[pair]) for pair in pairs]
    top["pair"] = [f"{first} and {second}" for first, second in zip(top["first"], top["second"], strict=True)]
    st.dataframe(
        top[["value", "std", "pair", "clear", "kind"]], hide_index=True, key=_RANKED_KEY,
        row_height=_WRAPPED if top["pair"].str.len().max() > _ONE_LINE else None,
        on_select=lambda: _take_row(pairs), selection_mode="single-row", height=360,
        column_config={
            "value": st.column_config.NumberColumn(exploration.run.unit, format="%+.4f", width=80),
            "std": st.column_config.NumberColumn("±", format="%.4f", width=65, help="Half of the 90% interval"),
            "pair": st.column_config.TextColumn(width=200),
            "clear": st.column_config.CheckboxColumn(width=55, help="Can be told from zero, all pairs in mind"),
        },
        alt=f"The {len(top)} strongest pairs of tasks with their interaction",
    )  # fmt: skip


def what_if(run: Run) -> None:
    """Toggle tasks and see the prediction; not where the toggles would lead away from all that was measured."""
    st.subheader("What if")
    if run.fixed_size:
        _no_toggles(run)
        return
    st.markdown("Toggle tasks in and out of the subset and see what the surrogate predicts.")
    _prediction(run.key)
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
def _prediction(key: str) -> None:
    """Draw the toggles and the prediction alone: every element more costs a toggle ten milliseconds or two."""
    exploration = _for_prediction(key)
    names = exploration.run.outcomes.task_names
    controls.task_pills(names)
    mask = np.ones((2, len(names)))
    mask[1, list(session.view().off)] = 0.0
    predicted, std = (float(table.ravel()[0]) for table in exploration.surrogate.predict(mask[1:], return_std=True))
    change, doubt = (float(table.ravel()[0]) for table in exploration.surrogate.predict_change(mask[1:], mask[0]))
    margin = exploration.quantile * doubt
    left_out = len(session.view().off)
    unclear = is_unclear(change, margin)
    helps = (change > 0) == exploration.run.outcomes.higher_is_better
    if unclear:
        verdict = "as with all tasks" + (", as far as can be told" if left_out else "")
    else:
        verdict = f"{'better' if helps else 'worse'} than with all tasks"
    st.metric(
        f"Predicted {plain(exploration.run.unit)}", amount(predicted, exploration.quantile * std, digits=".4f"),
        f"{amount(change, margin or None, '+z.4f')} against all tasks",
        delta_color="off" if unclear else "blue" if helps else "orange",
        delta_arrow="off" if unclear else "auto",
    )  # fmt: skip
    linear = float(exploration.linear.predict(mask[1:]).ravel()[0])
    st.markdown(
        f"{len(names) - left_out} of {len(names)} tasks are in: predicted {verdict}. "
        f"A tuned linear surrogate says {linear:.4f}."
    )
    session.publish()  # last: the prediction need not wait for the address bar


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
    """Say once which sign helps."""
    st.caption(words.SIGN_SCORE if exploration.higher_is_better else words.SIGN_LOSS)


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
