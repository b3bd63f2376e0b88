"""The first page: a finished result, and four doors."""

from __future__ import annotations

import streamlit as st

from kernelsm.app.shell import findings, frame, navigation, session, spoken, words
from kernelsm.app.shell.fits import read_off
from kernelsm.app.shell.open_runs import Run, open_run, shown_readout
from kernelsm.app.shell.view import ViewState
from kernelsm.app.shell.words import plain
from kernelsm.charts.attribution import attribution_bars
from kernelsm.charts.interactions import interaction_heatmap
from kernelsm.charts.order import task_order
from kernelsm.charts.style import Chart
from kernelsm.surrogates.reading import Readout


def prepare() -> None:
    """Compute and draw once what a visitor without a link sees, before there is one."""
    run = open_run(ViewState().run)
    readout = _read(run, ViewState())[2]
    for chart in (_bars(run, readout, dark=False), _heatmap(run, readout, dark=False)):
        chart.figure.to_json()


def result(run: Run) -> None:
    """Draw attribution and interactions of the current run and say the strongest of each in a sentence."""
    kernel, kind, readout = _read(run, session.view())
    attribution = readout.attribution
    names, better = run.outcomes.task_names, run.outcomes.higher_is_better
    st.caption(words.sign(run.unit, higher_is_better=better))
    left, right = frame.panels()
    with left:
        st.header("What each task does")
        st.markdown(findings.tasks_headline(readout))
        spoken.say(findings.tasks_headline(readout), "start")
        frame.show(_bars(run, readout, dark=frame.is_dark()), "start_bars", toolbar=False)
        st.caption(findings.tasks_caption(readout, estimated=run.estimated), help=findings.WHAT_MATTERS)
    with right:
        st.header("What pairs do together")
        if len(names) < 2:
            st.info("One task has no pairs.")
            return
        st.markdown(findings.pairs_headline(readout))
        frame.show(_heatmap(run, readout, dark=frame.is_dark()), "start_heatmap", toolbar=False)
        if said := findings.pairs_caption(readout):
            st.caption(said, help=findings.WHAT_MATTERS)
    st.caption(
        f"Readout: {words.READOUT_NAMES[kind].lower()}, {words.KERNEL_NAMES[kernel]} surrogate of "
        f"{plain(attribution.target_names[0])}."
    )


def _read(run: Run, view: ViewState) -> tuple[str, str, Readout]:
    """Kernel and readout shown, and what is read off."""
    kernel = "auto" if view.kernel == "linear" else view.kernel
    kind = shown_readout(run, "")
    return kernel, kind, read_off(run.fits, view.target, kernel, view.gamma, view.ridge, kind)


def _bars(run: Run, readout: Readout, *, dark: bool) -> Chart:
    attribution = readout.attribution
    return attribution_bars(
        attribution.values[:, 0], run.outcomes.task_names, unit=run.unit,
        higher_is_better=run.outcomes.higher_is_better,
        order=task_order("strength", attribution.values[:, 0], readout.interactions.values[:, :, 0]),
        margin=attribution.margin()[:, 0], verdicts=readout.task_verdicts, measured=attribution.measured, dark=dark,
    )  # fmt: skip


def _heatmap(run: Run, readout: Readout, *, dark: bool) -> Chart:
    return interaction_heatmap(
        readout.interactions.values[:, :, 0], run.outcomes.task_names, unit=run.unit,
        higher_is_better=run.outcomes.higher_is_better, dark=dark, distinguishable=readout.clear,
        measured=readout.interactions.measured, clickable=False,
    )  # fmt: skip


def doors(run: Run) -> None:
    """Draw the ways on."""
    st.header("Where to go")
    (explore, teach), (prompt, own) = (frame.panels(2, 300, border=True) for _ in range(2))
    with explore:
        st.markdown("**Explore this result**")
        st.markdown(
            "Click a pair and see what both do together." if run.fixed_size  # Explore has no toggles then
            else "Click a pair, toggle tasks, and see the prediction move."
        )  # fmt: skip
        st.page_link(navigation.EXPLORE, label="Explore", icon=":material/hub:")
        if run.prompts:
            st.page_link(
                navigation.DEMONSTRATIONS, label="Choose demonstrations by it", icon=":material/format_list_numbered:"
            )
        elif run.source:
            st.page_link(navigation.GRADIENTS, label="Recompute it from gradients", icon=":material/trending_down:")
    with teach:
        st.markdown("**See what a linear surrogate cannot**")
        st.markdown("A planted game with a synergy, a redundancy and an XOR pair: its truth is known.")
        st.button("Open the planted game", icon=":material/school:", on_click=_open_planted)
    with prompt:
        st.markdown("**Choose demonstrations for a prompt**")
        st.markdown("Put examples in and out of a language model's prompt and see its predicted loss.")
        st.button("Open movie reviews", icon=":material/format_list_numbered:", on_click=_open_prompts)
    with own:
        st.markdown("**Bring your own**")
        st.markdown("Samples and a network, or just a table of subsets and their outcomes.")
        st.page_link(navigation.DATA, label="Data & model", icon=":material/upload:")


def _open_planted() -> None:
    session.look_at("planted")
    navigation.go(navigation.EXPLORE)


def _open_prompts() -> None:
    session.look_at("movie-reviews")
    navigation.go(navigation.DEMONSTRATIONS)
