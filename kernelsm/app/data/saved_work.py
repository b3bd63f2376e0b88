"""What a session brought and computed: listed, renamed, deleted, saved to a file and restored from one."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from kernelsm.app.data import gallery
from kernelsm.app.shell import frame, navigation, session, session_holds
from kernelsm.app.shell.open_runs import open_run
from kernelsm.app.shell.view import ViewState
from kernelsm.app.shell.words import plain, size_of
from kernelsm.files.limits import limits
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import Store, cache_root
from kernelsm.workspace.projects import (
    delete_project,
    is_project,
    load_project,
    project_bytes,
    project_key,
    rename_project,
)
from kernelsm.workspace.prompt_projects import (
    delete_prompts,
    find_prompts,
    has_prompts,
    keep_prompts,
    prompts_bytes,
)
from kernelsm.workspace.session_file import read_session, write_session
from kernelsm.workspace.tables import delete_run, has_run, run_bytes

_NOTE = "kernelsm_saved_note"


def mine() -> None:
    """Draw what this session brought and computed, and what can be done with it."""
    if note := st.session_state.pop(_NOTE, ""):
        st.success(note, icon=":material/check:")
    kinds = {
        **dict.fromkeys(session.projects(), "data and model"), **dict.fromkeys(session.prompts(), "demonstrations"),
        **dict.fromkeys(session.tables(), "outcomes"),
    }  # fmt: skip
    if not kinds:
        return
    st.subheader("What you brought and computed")
    titles = _titles()
    named = {key: f"{titles[key]} · {kind} · {_size(key)}" for key, kind in kinds.items()}
    left, right = frame.panels()
    with left:
        key = st.selectbox("One of yours", list(named), format_func=named.__getitem__, key="saved_choice")
        title = st.text_input("Name", titles[key], max_chars=60, key=f"saved_title_{key}")
        with st.container(horizontal=True):
            st.button("Open", icon=":material/folder_open:", key="saved_open", on_click=_open, args=(key,))
            st.button(
                "Rename", icon=":material/edit:", key="saved_rename", on_click=_rename, args=(key, title),
                disabled=not title.strip() or title == titles[key],
            )  # fmt: skip
            with st.popover("Delete", icon=":material/delete:", key="saved_delete"):
                more = " with its gradients and all other work in between" if key in session.projects() else ""
                stays = "" if key in session.tables() else " Its tables of outcomes stay."
                st.markdown(f"Delete **{plain(titles[key])}**{more}?{stays}")
                st.button("Delete it", type="primary", key="saved_delete_really", on_click=_delete, args=(key,))
    with right:
        st.markdown(
            "A session file holds all of these and the view: sliders, pair, subset. Open it here, or on another "
            "server, to go on."
        )
        if st.button("Write a session file", icon=":material/save:", key="saved_write"):
            try:
                content = write_session(
                    session.view().to_params(), session.tables(), cache_root(), session.projects(), session.prompts()
                )
            except InputError as error:
                gallery.refusal(error)
            else:
                st.download_button(
                    f"Download it ({size_of(len(content))})", content, "kernelsm-session.zip",
                    "application/zip", icon=":material/download:", key="saved_download", on_click="ignore",
                )  # fmt: skip


def restore() -> None:
    """Draw the upload of a session file."""
    file = st.file_uploader("Session file (.zip)", key="bring_session", max_upload_size=limits().megabytes)
    if file is None:
        return
    if st.button("Open this session", type="primary", icon=":material/folder_open:", key="bring_session_open"):
        try:
            found = read_session(file.getvalue(), file.name, cache_root(), check_project=project_key)
        except InputError as error:
            gallery.refusal(error)
            return
        for run in found.runs:
            session.remember_table(run, found.titles.get(run, "table"))
        for project in found.projects:
            session.remember_project(project)
        for key in found.prompts:
            session.remember_prompts(key)
        session.restore(ViewState.from_params(found.view)[0])
        runs, projects = len(found.runs), len(found.projects)
        st.session_state[_NOTE] = (
            f"Restored the view, {runs} table{'s' * (runs != 1)} of outcomes and {projects} project"
            f"{'s' * (projects != 1)} of data and a model."
        )
        if found.prompts:
            st.session_state[_NOTE] += f" Demonstrations for a prompt: {len(found.prompts)}."
        st.rerun()


def _titles() -> dict[str, str]:
    return {**session.projects(), **session.prompts(), **session.tables()}


def _size(key: str) -> str:
    if key in session.projects():
        return size_of(project_bytes(key))
    return size_of(prompts_bytes(key) if key in session.prompts() else run_bytes(key))


def _open(key: str) -> None:
    if key in session.projects():
        session.work_on(key)
    elif key in session.prompts():
        session.work_on_prompts(key)
        navigation.go(navigation.DEMONSTRATIONS)
    else:
        session.look_at(key)


def _rename(key: str, title: str) -> None:
    if key in session.projects():
        if is_project(key):
            rename_project(key, title.strip())
        session.remember_project(key, title.strip())
    elif key in session.prompts():
        if has_prompts(key):
            keep_prompts(replace(find_prompts(key), title=title.strip()))
        session.remember_prompts(key, title.strip())
    else:
        session.remember_table(key, title.strip())


def _delete(key: str) -> None:
    """Forget one; its files go too where no other session holds the same content."""
    title = _titles().get(key)
    if title is None:  # pressed twice
        return
    freed = 0
    if session_holds.let_go(key):
        if is_project(key):
            contents = _contents(key)
            freed = delete_project(key) + Store().forget(*contents)
        elif prompts_bytes(key):
            freed = delete_prompts(key)
        elif has_run(key):
            freed = delete_run(key)
            open_run.clear(key)
    session.forget(key)
    st.session_state[_NOTE] = f"Deleted {plain(title)}, {size_of(freed)} freed."


def _contents(project: str) -> list[str]:
    """Hashes of what was computed for a project."""
    try:
        found: list[str] = load_project(project).about["contents"]
    except InputError:  # damaged: what was computed for it goes with the least recently used
        return []
    return found
