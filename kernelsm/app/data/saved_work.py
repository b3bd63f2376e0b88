"""What a session uploaded and computed: listed, renamed, deleted, saved to a file and restored from one.

What it saw through a link is listed too, to open it again or to take it off the list.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from kernelsm.app.data import gallery
from kernelsm.app.decide import confirmed
from kernelsm.app.shell import disk, frame, navigation, owner, rights, session
from kernelsm.app.shell.open_runs import open_run
from kernelsm.app.shell.uploaded_files import check_room
from kernelsm.app.shell.view import ViewState
from kernelsm.app.shell.words import plain, size_of
from kernelsm.files.limits import limits
from kernelsm.runtime.apart import apart
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import cache_root
from kernelsm.workspace.confirmations import CONFIRMATIONS
from kernelsm.workspace.kept import Kept
from kernelsm.workspace.kept_kinds import KEPT_KINDS
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.prompt_projects import PROMPTS
from kernelsm.workspace.requests import FileRef
from kernelsm.workspace.session_file import RestoredSession, write_session
from kernelsm.workspace.tables import TABLES
from kernelsm.workspace.uploads import drop_upload, keep_upload

_NOTE = "kernelsm_saved_note"
_PAGES = {PROMPTS.name: navigation.DEMONSTRATIONS, CONFIRMATIONS.name: navigation.DECIDE}
"""Where a kind is worked on that other pages do not show."""


def own_work() -> None:
    """Draw the list of what this session uploaded, computed and saw; what is its own can be renamed and deleted."""
    if note := st.session_state.pop(_NOTE, ""):
        st.success(note, icon=":material/check:")
    kinds = session.everything()
    if not kinds:
        return
    own = {key for key, kind in kinds.items() if rights.owns(kind, key)}
    st.header("What you brought and computed" if len(own) == len(kinds) else "What you brought, computed and saw")
    titles = {key: session.titles(kind)[key] for key, kind in kinds.items()}
    named = {
        key: " · ".join((titles[key], kind.label if key in own else f"{kind.label}, seen", size_of(kind.size(key))))
        for key, kind in kinds.items()
    }
    left, right = frame.panels()
    with left:
        label = "One of yours" if len(own) == len(kinds) else "One of these"
        key = st.selectbox(label, list(named), format_func=named.__getitem__, key="saved_choice")
        if key in own:
            _change(key, kinds[key], titles[key])
        else:
            _seen(key)
    with right:
        st.markdown(_what_a_file_holds(bool(own), len(own) < len(kinds)))
        if st.button("Write a session file", icon=":material/save:", key="saved_write"):
            try:
                kept = {kind.name: session.titles(kind) for kind in KEPT_KINDS}
                owns = {key: owner.proof(key) for key in own}
                content = write_session(
                    session.view().to_params(), kept, cache_root(), pinned=session.pinned_tables(), owns=owns
                )
            except InputError as error:
                gallery.refusal(error)
            else:
                st.download_button(
                    f"Download it ({size_of(len(content))})", content, "kernelsm-session.zip",
                    "application/zip", icon=":material/download:", key="saved_download", on_click="ignore",
                )  # fmt: skip


def _what_a_file_holds(own: bool, seen: bool) -> str:
    """Say what goes into a session file, of what is one's own and of what was only seen."""
    view = "and the view: sliders, pair, subset. Open it here, or on another server, to go on"
    if not own:
        return f"A session file holds the tables and results of these {view}."
    others = " Of what you only saw through a link it holds the tables and results." if seen else ""
    return f"A session file holds all of these {view} as their owner: whoever you give it to owns them too.{others}"


def _change(key: str, kind: Kept[Any], title: str) -> None:
    """Draw what an owner may do."""
    name = st.text_input("Name", title, max_chars=60, key=f"saved_title_{key}")
    with st.container(horizontal=True):
        st.button("Open", icon=":material/folder_open:", key="saved_open", on_click=_open, args=(key,))
        st.button(
            "Rename", icon=":material/edit:", key="saved_rename", on_click=_rename, args=(key, name),
            disabled=not name.strip() or name == title,
        )  # fmt: skip
        with st.popover("Delete", icon=":material/delete:", key="saved_delete"):
            st.markdown(f"Delete **{plain(title)}**{kind.also_deleted}?{kind.not_deleted}")
            st.button("Delete it", type="primary", key="saved_delete_really", on_click=_delete, args=(key,))


def _seen(key: str) -> None:
    """Draw what everybody may do who has the link."""
    st.caption(f"Seen through a link, so it is not yours to rename or delete. {rights.HOW_TO_OWN}")
    with st.container(horizontal=True):
        st.button("Open", icon=":material/folder_open:", key="saved_open", on_click=_open, args=(key,))
        st.button(
            "Take off this list", icon=":material/visibility_off:", key="saved_unlist", on_click=_delete, args=(key,)
        )


def restore() -> None:
    """Draw the upload of a session file."""
    file = st.file_uploader("Session file (.zip)", key="bring_session", max_upload_size=limits().megabytes)
    if file is None:
        return
    if st.button("Open this session", type="primary", icon=":material/folder_open:", key="bring_session_open"):
        try:
            check_room(file.size)
            restored = _unpacked(FileRef(keep_upload(file.getbuffer(), file.name), file.name))
        except InputError as error:
            gallery.refusal(error)
            return
        for kind in KEPT_KINDS:
            for key, title in restored.kept[kind.name].items():
                if proof := restored.owns.get(key):
                    owner.take_over(key, proof)
                session.bring(kind, key, title)
        session.restore(ViewState.from_params(restored.view)[0])
        st.session_state[_NOTE] = _restored(restored)
        st.rerun()


def _unpacked(ref: FileRef) -> RestoredSession:
    """Take over what a session file holds, in a process of its own: it may unpack to gigabytes."""
    root = cache_root()
    path = ref.path(root)
    try:
        with st.spinner("Unpacking and checking it ..."):
            found = apart(
                "kernelsm.workspace.session_file:restore_session", path=str(path.resolve()), name=ref.name,
                root=str(root.resolve()),
            )  # fmt: skip
    finally:
        drop_upload(ref.key)  # it holds what makes its bearer the owner
    return RestoredSession(**{**found, "pinned": tuple(found["pinned"])})


def _restored(restored: RestoredSession) -> str:
    """Say what was restored: always the tables and projects, other kinds only where there are any."""
    counts = {kind: len(restored.kept[kind.name]) for kind in KEPT_KINDS}
    usual = [f"{counts[kind]} {kind.counted[counts[kind] != 1]}" for kind in (TABLES, PROJECTS)]
    further = [
        f" {kind.counted[0].capitalize()}: {count}."
        for kind, count in counts.items()
        if count and kind not in (TABLES, PROJECTS)
    ]
    return f"Restored the view, {' and '.join(usual)}.{''.join(further)}"


@disk.callback
def _open(key: str) -> None:
    kind = session.everything().get(key)
    if kind is None:  # deleted by the press before
        return
    if kind is CONFIRMATIONS:
        confirmed.open_confirmed(key)
    else:
        session.open_kept(kind, key)
    if kind.name in _PAGES:
        navigation.go(_PAGES[kind.name])


@disk.callback
def _rename(key: str, title: str) -> None:
    kind = session.everything().get(key)
    if kind is None or not rights.owns(kind, key):
        return
    # where others own it too, it is called so on this session's list alone
    if kind.opens(key) and rights.owns_alone(kind, key):
        kind.rename(key, title.strip())
    session.remember(kind, key, title.strip())


@disk.callback
def _delete(key: str) -> None:
    """Forget one; what was this session's own and nobody else's is deleted."""
    kind = session.everything().get(key)
    if kind is None:  # pressed twice
        return
    title, was_own = session.titles(kind)[key], rights.owns(kind, key)
    freed = rights.give_up(kind, key)
    if not kind.is_here(key):
        open_run.clear(key)
    session.forget(key)
    if not was_own:
        st.session_state[_NOTE] = f"Took {plain(title)} off the list."
    elif freed or not kind.is_here(key):
        st.session_state[_NOTE] = f"Deleted {plain(title)}, {size_of(freed)} freed."
    else:
        st.session_state[_NOTE] = (
            f"Deleted {plain(title)} from what is yours. Others brought or opened the same: it stays for them until "
            "it is not opened any more."
        )
