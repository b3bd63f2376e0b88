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
from kernelsm.examples.catalog import EXAMPLES, PROMPT_EXAMPLES
from kernelsm.examples.example import Example, PromptExample
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.tables import TABLES

_LOGO = str(Path(__file__).with_name("logo.svg"))
_PICKER = "kernelsm_run_picker"


def sidebar() -> None:
    """Draw the run picker and the link."""
    st.logo(_LOGO, size="large", icon_image=navigation.ICON)
    built_in: list[Example | PromptExample] = [*EXAMPLES.values(), *PROMPT_EXAMPLES.values()]
    titles = {example.name: example.title for example in built_in} | session.titles(TABLES)
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


def current_run(*, needs_outcomes: bool = True) -> Run:
    """Return the run that all pages show; a page that needs outcomes says so where the project has none yet."""
    project = session.view().project
    if project and needs_outcomes:
        st.info(
            f"{plain(session.title_of(project))} has no outcomes yet: this page still shows another run.",
            icon=":material/info:",
        )
        if rights.may_use(project):
            st.page_link(navigation.GRADIENTS, label="Compute them on Gradients", icon=":material/trending_down:")
    return open_run(session.view().run)


def head(title: str, sentence: str, run: Run, *, run_is_aside: bool = False, instead: str = "") -> None:
    """Draw the title of a page, what it is for, and which run it shows, or the project where the run stands aside.

    `instead` says what else the page shows.
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
    name = run.title or session.titles(TABLES).get(run.key, TABLES.title(run.key))
    o = run.outcomes
    targets = f"{o.q} targets" if o.q > 1 else "1 target"
    st.markdown(sentence)
    st.caption(f"{plain(name)} · {o.m:,} subsets · {o.K} tasks · {targets}{weighed(o)}")


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


def panels(count: int = 2, narrowest: int = 400) -> list[DeltaGenerator]:
    """Return places side by side that stack where a place would be narrower than `narrowest` pixels."""
    grid = st.grid(count, min_column_width=narrowest, gap="medium")
    return [grid.cell() for _ in range(count)]


def is_dark() -> bool:
    """Whether the browser shows the dark theme."""
    return st.context.theme.type == "dark"


def _link() -> str:
    base = (st.context.url or "").split("?")[0]
    params = session.view().to_params()
    return f"{base}?{urlencode(params)}" if params else base
