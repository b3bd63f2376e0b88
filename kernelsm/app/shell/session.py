"""What this browser session looks at and keeps.

The view is read from the URL at first and on Back or Forward, and written after changes. What the session uploaded or
computed, and what links showed it, is listed by kind: no other session sees the lists. `rights` says which of it is
the session's own.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from kernelsm.app.shell import rights
from kernelsm.app.shell.open_runs import Run, RunMissing, is_here, open_run, source_title
from kernelsm.app.shell.view import ViewState
from kernelsm.app.shell.visitors import visitors
from kernelsm.app.shell.words import plain
from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.runtime.one_line import one_line_title
from kernelsm.workspace.kept import Kept
from kernelsm.workspace.kept_kinds import KEPT_KINDS
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.prompt_projects import find_prompts
from kernelsm.workspace.tables import TABLES

_VIEW, _LAST_SEEN = "kernelsm_view", "kernelsm_last_seen"
_STILL_SEEN = 3600.0
_LONGEST_TITLE = 200


def begin() -> None:
    """Read the link at the session's first run and where the browser went back or forward.

    At later runs, drop what was deleted since.
    """
    visitors().note()
    if _VIEW in st.session_state:
        _drop_deleted()
        _still_see()
    if _VIEW not in st.session_state or _through_history():
        _read_link()


def has_begun() -> bool:
    """Whether there is a view: the disk may have failed before."""
    return _VIEW in st.session_state


def _still_see() -> None:
    """Say once in a while that this session is still here: what it lists does not expire meanwhile."""
    now = time.monotonic()
    if now - st.session_state.setdefault(_LAST_SEEN, now) > _STILL_SEEN:
        st.session_state[_LAST_SEEN] = now
        for key, kind in everything().items():
            rights.see(kind, key)


def _through_history() -> bool:
    """Whether this run shows another entry of the browser's history; in all others the address may lag behind."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def _read_link() -> None:
    """Take over the view of the address; unusable parts are dropped, and the user is told."""
    view, ignored = ViewState.from_params(st.query_params.to_dict())
    try:
        open_run(view.run)
    except RunMissing as missing:
        ignored.append(f"run={view.run}")
        st.toast(plain(str(missing)), icon=":material/link_off:")
        view = view.on_run(ViewState().run)
    for kind in KEPT_KINDS:
        if _is_deleted(kind, view):
            ignored.append(f"{kind.parameter}={getattr(view, kind.parameter)}")
            view = view.closed(kind.parameter)
    fitting = _with_runs_here(_restricted_to_run(view))
    ignored += view.lost(fitting)
    if ignored:
        st.toast(f"Parts of the link do not fit and were left out: {plain(', '.join(ignored))}")
    st.session_state[_VIEW] = fitting
    for kind in KEPT_KINDS:
        key = getattr(fitting, kind.parameter)
        if is_content_hash(key):
            _remember_from_link(kind, key)
    for key in pinned_tables():
        _remember_from_link(TABLES, key)


def _remember_from_link(kind: Kept[Any], key: str) -> None:
    """List the item that a link opened, and what it was made from where that is this session's own."""
    rights.see(kind, key)
    needs = [need for need in kind.needs(key) if rights.owns(need.kind, need.key)]
    if key not in titles(kind):
        made_from = "".join(f"{need.kind.title(need.key)}: " for need in needs)
        remember(kind, key, "" if kind.keeps_title else f"{made_from}{kind.title(key)} from the link")
    for need in needs:
        remember(need.kind, need.key)


def _is_deleted(kind: Kept[Any], view: ViewState) -> bool:
    """Whether a view names one of a kind that is not here any more, or cannot be read."""
    key = getattr(view, kind.parameter)
    return is_content_hash(key) and not kind.opens(key)


def _restricted_to_run(view: ViewState) -> ViewState:
    """Return a view without the tasks and targets that its run, which must be here, does not have."""
    run = open_run(view.run)
    slots = run.slots(find_prompts(run.prompts).task) if run.prompts else 0
    return view.within(run.outcomes.target_names, run.outcomes.K, slots, run.m)


def _with_runs_here(view: ViewState) -> ViewState:
    """Return a view without what is compared of runs that are not on this server."""
    runs = {view.pinned(pin).run for pin in (*view.pins, view.first, view.second) if pin}
    for run in runs:
        view = view if is_here(run) else _without_run(view, run)
    return view


def _without_run(view: ViewState, run: str) -> ViewState:
    """Return a view that compares nothing of one run."""
    first, second = ("" if pin and view.pinned(pin).run == run else pin for pin in (view.first, view.second))
    pins = tuple(pin for pin in view.pins if view.pinned(pin).run != run)
    return replace(view, pins=pins, first=first, second=second)


def pinned_tables() -> tuple[str, ...]:
    """Tables that the pinned and compared views are of, as keys; examples are everywhere."""
    shown = view()
    runs = (shown.pinned(pin).run for pin in (*shown.pins, shown.first, shown.second) if pin)
    return tuple(dict.fromkeys(run for run in runs if is_content_hash(run)))


def _drop_deleted() -> None:
    """Close what another session with the same content has deleted while this one shows it."""
    st.session_state[_VIEW] = _with_runs_here(view())
    shown = view()
    for kind in KEPT_KINDS:
        if _is_deleted(kind, shown):
            key = getattr(shown, kind.parameter)
            title = titles(kind).get(key, "What was shown")
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


def titles(kind: Kept[Any]) -> dict[str, str]:
    """Items of one kind that this session uploaded, computed or saw: key -> title, the oldest first."""
    known: dict[str, str] = st.session_state.setdefault(_list_key(kind), {})
    return known


def everything() -> dict[str, Kept[Any]]:
    """All items that this session uploaded, computed or saw: key -> kind, in the order of the kinds."""
    return {key: kind for kind in KEPT_KINDS for key in titles(kind)}


def remember(kind: Kept[Any], key: str, title: str = "") -> None:
    """Add something that is kept to this session's list; it is the session's own only after `bring`.

    Without a title it has the one that it had here, or else its own: another session may call the same content
    otherwise.
    """
    title = title or titles(kind).get(key) or kind.title(key)
    if not kind.keeps_title:  # the run picker lists tables by title alone, so two must not share one
        title = one_line_title(title)[:_LONGEST_TITLE]
        other_titles = {title_there for listed_key, title_there in titles(kind).items() if listed_key != key}
        title = f"{title} ({key[:6]})" if title in other_titles else title
    st.session_state[_list_key(kind)] = {**titles(kind), key: title}


def bring(kind: Kept[Any], key: str, title: str = "") -> None:
    """List something as this session's own: it was uploaded, computed or restored here."""
    rights.claim(kind, key)
    if title and kind.keeps_title and kind.opens(key) and kind.title(key) != title and rights.owns_alone(kind, key):
        kind.rename(key, title)
    remember(kind, key, title)


def open_kept(kind: Kept[Any], key: str) -> None:
    """Turn to something that is kept, and list it; call it in callbacks."""
    remember(kind, key)
    st.session_state[_VIEW] = view().opened(kind.parameter, key)


def run_title(run: Run) -> str:
    """What this session calls a run."""
    return run.title or titles(TABLES).get(run.key, TABLES.title(run.key))


def title_of(source: str) -> str:
    """What this session calls an example or a project."""
    return titles(PROJECTS).get(source) or source_title(source)


def restore(view: ViewState) -> None:
    """Take over the view of a session file, without the items that are not here."""
    try:
        open_run(view.run)
    except RunMissing:
        view = view.on_run(ViewState().run)
    for kind in KEPT_KINDS:
        view = view.closed(kind.parameter) if _is_deleted(kind, view) else view
    st.session_state[_VIEW] = _with_runs_here(_restricted_to_run(view))


def forget(key: str) -> None:
    """Drop something that is kept from this session's lists and its view."""
    for kind in KEPT_KINDS:
        st.session_state[_list_key(kind)] = {
            listed_key: title for listed_key, title in titles(kind).items() if listed_key != key
        }
        if getattr(view(), kind.parameter) == key:
            st.session_state[_VIEW] = view().closed(kind.parameter)
    st.session_state[_VIEW] = _without_run(view(), key)


def _list_key(kind: Kept[Any]) -> str:
    """Key of the session state that holds the list of one kind."""
    return f"kernelsm_{kind.name}"
