"""What the store holds of this session's own projects, and the button that drops it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from kernelsm.app.shell import disk, rights, session
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.runtime.store import Store, chunk_budget
from kernelsm.workspace.projects import PROJECTS


def cache_panel() -> None:
    """Draw sizes by kind of chunk and offer to delete them."""
    with st.expander("Cache", icon=":material/hard_drive:", key="kernelsm_cache_panel", on_change="rerun") as panel:
        if not panel.open:
            return
        budget = (
            f"Beyond {chunk_budget() / 2**30:g} GiB on this server the least recently used are dropped. Tables and "
            "results are kept elsewhere and stay."
        )
        entries = Store().entries_of(*_contents())
        if not entries:
            st.caption(
                "Nothing has been computed of a project of yours. Finished chunks of the built-in examples are for "
                f"all who use this server. {budget}"
            )
            return
        sizes = pd.Series([entry.size / 2**20 for entry in entries])
        kinds = sizes.groupby([entry.kind.replace("_", " ") for entry in entries]).agg(["count", "sum"])
        show_table(
            kinds.round(1).reset_index().set_axis(["chunks of", "number", "MiB"], axis=1),
            hide_index=True, width="content", alt="Finished chunks of your projects by kind",
        )  # fmt: skip
        st.caption(f"Finished chunks of your projects. {budget}")
        st.button("Delete the chunks", icon=":material/delete:", on_click=_delete)


@disk.callback
def _delete() -> None:
    Store().forget(*_contents())


def _contents() -> list[str]:
    """Hashes under which the store keeps what was computed of this session's own projects."""
    own = [key for key in session.titles(PROJECTS) if rights.owns(PROJECTS, key)]
    return [content for key in own for content in PROJECTS.stored_contents(key)]
