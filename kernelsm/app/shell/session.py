"""The view of this browser session: read from the URL at first and on Back or Forward, written after changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from kernelsm.app.shell import session_holds
from kernelsm.app.shell.open_runs import RunMissing, open_run, opens, source_title
from kernelsm.app.shell.view import ViewState
from kernelsm.app.shell.words import plain
from kernelsm.examples.catalog import PROMPT_EXAMPLES
from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.runtime.one_line import one_line_title
from kernelsm.workspace.projects import load_project
from kernelsm.workspace.prompt_projects import find_prompts, has_prompts
from kernelsm.workspace.tables import has_run

_VIEW = "kernelsm_view"
_TABLES = "kernelsm_tables"
_PROJECTS = "kernelsm_projects"
_PROMPTS = "kernelsm_prompts"
_LONGEST_TITLE = 200


def begin() -> None:
    """Read the link at the session's first run and where the browser went back or forward.

    At later runs, drop what was deleted since.
    """
    if _VIEW in st.session_state:
        session_holds.hold((*projects(), *prompts(), *tables()))
        _drop_what_is_gone()
    if _VIEW not in st.session_state or _through_history():
        _read_link()


def _through_history() -> bool:
    """Whether this run shows another entry of the browser's history; in all others the address may lag behind."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def _read_link() -> None:
    """Take over the view of the address; what it cannot mean is dropped with a word to the user."""
    view, ignored = ViewState.from_params(st.query_params.to_dict())
    try:
        open_run(view.run)
    except RunMissing as missing:
        ignored.append(f"run={view.run}")
        st.toast(plain(str(missing)), icon=":material/link_off:")
        view = view.on_run(ViewState().run)
    if view.project and not opens(view.project):
        ignored.append(f"project={view.project}")
        view = replace(view, project="")
    if view.prompts and not has_prompts(view.prompts):
        ignored.append(f"prompts={view.prompts}")
        view = replace(view, prompts="")
    kept = _fitting(view)
    ignored += view.lost(kept)
    if ignored:
        st.toast(f"Parts of the link do not fit and were left out: {plain(', '.join(ignored))}")
    st.session_state[_VIEW] = view = kept
    source = open_run(view.run).source
    if is_content_hash(view.run) and view.run not in tables():
        of = f"{load_project(source).title}: " if opens(source) else ""
        remember_table(view.run, f"{of}table from the link")
    for project in {view.project, source}:
        if opens(project):
            remember_project(project)
    for texts in {view.prompts, open_run(view.run).prompts}:
        if texts and texts not in PROMPT_EXAMPLES:
            remember_prompts(texts)


def _fitting(view: ViewState) -> ViewState:
    """Return a view, whose run is here, without what that run does not have."""
    run = open_run(view.run)
    slots = run.slots(find_prompts(run.prompts).task) if run.prompts else 0
    return view.within(run.outcomes.target_names, run.outcomes.K, slots)


def _drop_what_is_gone() -> None:
    """Another session may have deleted what this one shows: one that holds the same content, and was connected."""
    shown = view()
    here = {shown.run: has_run(shown.run) or not is_content_hash(shown.run), shown.project: opens(shown.project)}
    here[shown.prompts] = has_prompts(shown.prompts)
    for key in [key for key, found in here.items() if key and not found]:
        title = {**projects(), **prompts(), **tables()}.get(key, "What was shown")
        st.toast(f"{plain(title)} is not on this server any more.", icon=":material/link_off:")
        forget(key)


def view() -> ViewState:
    """Return what the user looks at."""
    state: ViewState = st.session_state[_VIEW]
    return state


def update(**changes: Any) -> None:
    """Change the view; call it in callbacks, so that the page is drawn from the new one."""
    st.session_state[_VIEW] = replace(view(), **changes)


def look_at(run: str) -> None:
    """Turn to another run."""
    st.session_state[_VIEW] = view().on_run(run)


def publish() -> None:
    """Write the view into the URL, so that reloading or sharing it restores it."""
    params = view().to_params()
    if st.query_params.to_dict() != params:
        st.query_params.from_dict(params)


def tables() -> dict[str, str]:
    """Tables of this session beside the examples: content hash -> title. No other session sees the list."""
    known: dict[str, str] = st.session_state.setdefault(_TABLES, {})
    return known


def remember_table(run: str, title: str) -> None:
    """Add a table to this session's run picker."""
    title = one_line_title(title)[:_LONGEST_TITLE]
    taken = {other for key, other in tables().items() if key != run}
    st.session_state[_TABLES] = {**tables(), run: f"{title} ({run[:6]})" if title in taken else title}
    session_holds.hold([run])


def projects() -> dict[str, str]:
    """Data and models that this session brought: key -> title. No other session sees the list."""
    known: dict[str, str] = st.session_state.setdefault(_PROJECTS, {})
    return known


def remember_project(key: str, title: str = "") -> None:
    """Add data and a model to this session's list.

    Without a title it keeps the one that it has here: another session may call the same content otherwise.
    """
    st.session_state[_PROJECTS] = {**projects(), key: title or projects().get(key) or load_project(key).title}
    session_holds.hold([key])


def prompts() -> dict[str, str]:
    """Texts for prompts that this session brought: key -> title. No other session sees the list."""
    known: dict[str, str] = st.session_state.setdefault(_PROMPTS, {})
    return known


def remember_prompts(key: str, title: str = "") -> None:
    """Add texts for prompts to this session's list; without a title they keep the one that they have here."""
    st.session_state[_PROMPTS] = {**prompts(), key: title or prompts().get(key) or find_prompts(key).title}
    session_holds.hold([key])


def work_on_prompts(key: str, title: str = "") -> None:
    """Turn to texts for prompts that have no outcomes yet."""
    remember_prompts(key, title)
    update(prompts=key, picked=())


def title_of(source: str) -> str:
    """What this session calls an example or a project."""
    return projects().get(source) or source_title(source)


def work_on(project: str, title: str = "") -> None:
    """Turn to data and a model that have no outcomes yet."""
    remember_project(project, title)
    update(project=project, pull=None, projection="auto", estimator="gradex", size=None)


def restore(view: ViewState) -> None:
    """Take over the view of a session file, as far as its run and project are here."""
    try:
        open_run(view.run)
    except RunMissing:
        view = view.on_run(ViewState().run)
    view = view if not view.project or opens(view.project) else replace(view, project="")
    view = view if not view.prompts or has_prompts(view.prompts) else replace(view, prompts="")
    st.session_state[_VIEW] = _fitting(view)


def forget(key: str) -> None:
    """Drop a table, data and a model, or prompts from this session's lists."""
    st.session_state[_TABLES] = {other: title for other, title in tables().items() if other != key}
    st.session_state[_PROJECTS] = {other: title for other, title in projects().items() if other != key}
    st.session_state[_PROMPTS] = {other: title for other, title in prompts().items() if other != key}
    if view().run == key:
        look_at(ViewState().run)
    if view().project == key:
        update(project="")
    if view().prompts == key:
        update(prompts="", picked=())
