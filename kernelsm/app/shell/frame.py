"""What stands around every page: the run picker, the link to copy, and the head of a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from kernelsm.app.shell import navigation, rights, session
from kernelsm.app.shell.chart_numbers import chart_numbers
from kernelsm.app.shell.open_runs import Run, open_run
from kernelsm.app.shell.weighing import weighed, weighed_project
from kernelsm.app.shell.words import plain
from kernelsm.charts.style import Chart
from kernelsm.examples.catalog import built_in
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.tables import TABLES

_LOGO = str(Path(__file__).with_name("logo.svg"))
_PICKER = "kernelsm_run_picker"


def sidebar() -> None:
    """Draw the run picker and the link."""
    st.logo(_LOGO, size="large", icon_image=navigation.ICON)
    titles = run_titles()
    st.session_state[_PICKER] = session.view().run
    with st.sidebar:
        st.selectbox(
            "Run", list(titles), format_func=titles.__getitem__, key=_PICKER,
            on_change=lambda: session.look_at(st.session_state[_PICKER]), help="What all pages show.",
        )  # fmt: skip
        # opening it runs the page: parts that are drawn alone may have changed the view since
        with st.popover("Copy link", icon=":material/link:", width="stretch", key="kernelsm_link", on_change="rerun"):
            st.caption("Opens this page with the same run, sliders, pair and subset.")
            st.code(_link(), language=None, wrap_lines=True)
            if session.view().run in session.titles(TABLES):
                st.caption(
                    "The table is on this server only: others see it here, and need a copy of the file elsewhere. "
                    "Who has the link sees the result; the data, and all that changes, stay with their owner."
                )


def run_titles() -> dict[str, str]:
    """The runs that can be looked at, the built-in ones first: key -> title."""
    return {name: example.title for name, example in built_in().items()} | session.titles(TABLES)


def current_run(*, needs_outcomes: bool = True, whole: bool = False) -> Run:
    """Return the run that all pages show; a page that needs outcomes says so where the project has none yet.

    It is that of the subsets which the view uses, or of all of them for a page that looks at the `whole` table.
    """
    project = session.view().project
    if project and needs_outcomes:
        st.info(
            f"{plain(session.title_of(project))} has no outcomes yet: this page still shows another run.",
            icon=":material/info:",
        )
        if rights.may_use(project):
            st.page_link(navigation.GRADIENTS, label="Compute them on Gradients", icon=":material/trending_down:")
    run = open_run(session.view().run)
    return run if whole else run.first(session.view().used)


def head(
    title: str, sentence: str, run: Run, *, run_is_aside: bool = False, says_used: bool = True, instead: str = ""
) -> None:
    """Draw the title of a page, what it is for, and which run it shows, or the project where the run stands aside.

    `says_used` says how many of the run's subsets are fitted, which else the page does. `instead` says what else the
    page shows.
    """
    st.title(title)
    if instead:
        st.markdown(sentence)
        st.caption(plain(instead))
        return
    project = session.view().project
    if project and run_is_aside:
        size = PROJECTS.load(project).recipe.size
        st.markdown(sentence)
        st.caption(
            f"{plain(session.title_of(project))} · {size.tasks} tasks · {size.targets} "
            f"target{'s' if size.targets > 1 else ''} · no outcomes yet{weighed_project(project)}"
        )
        return
    name = session.run_title(run)
    subsets = _subsets(run) if says_used else f"{run.m:,} subsets"
    o = run.outcomes
    targets = f"{o.q} targets" if o.q > 1 else "1 target"
    calibrated = " · label words calibrated" if run.calibrated else ""
    st.markdown(sentence)
    st.caption(f"{plain(name)} · {subsets} · {o.K} tasks · {targets}{weighed(o)}{calibrated}")


def _subsets(run: Run) -> str:
    """How many subsets there are, and how many of them this page fits."""
    if run.whole is not None:
        return f"fitted on the first {run.outcomes.m:,} of {run.whole:,} subsets"
    used = session.view().used
    return f"{run.m:,} subsets{f', all of them here (Fit uses {used:,})' if used else ''}"


def show(chart: Chart, key: str, *, toolbar: bool = True, on_click: Callable[[], None] | None = None) -> None:
    """Draw a chart, and below it the way to its numbers; without its toolbar it is drawn 70 ms sooner.

    Every chart of every page is drawn here. With `on_click` its points can be clicked: Streamlit calls it after it
    has put the selection into the session state under `key`.
    """
    config = {**_CHART_CONFIG, **({} if toolbar else {"displayModeBar": False})}
    clicks: dict[str, Any] = {"on_select": on_click, "selection_mode": "points"} if on_click else {}
    st.plotly_chart(chart.figure, key=key, alt=chart.alt, config=config, **clicks)
    chart_numbers(chart, key)


_CHART_CONFIG = {
    "displaylogo": False,
    "typesetMath": False,  # names may hold dollars
    "showSendToCloud": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "svg"},
}


def panels(count: int = 2, narrowest: int = 400, *, border: bool = False) -> list[DeltaGenerator]:
    """Return places side by side that stack where a place would be narrower than `narrowest` pixels.

    With a border they are cards, those of a row as high as the highest.
    """
    grid = st.grid(count, min_column_width=narrowest, gap="medium", border=border)
    return [grid.cell() for _ in range(count)]


def is_dark() -> bool:
    """Whether the browser shows the dark theme."""
    return st.context.theme.type == "dark"


def _link() -> str:
    base = (st.context.url or "").split("?")[0]
    params = session.view().to_params()
    return f"{base}?{urlencode(params)}" if params else base
