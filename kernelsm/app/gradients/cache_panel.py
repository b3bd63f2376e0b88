"""What the store holds, and the button that empties it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from kernelsm.runtime.store import DEFAULT_BUDGET, Store


def cache_panel() -> None:
    """Draw sizes by kind of chunk and offer to delete them."""
    with st.expander("Cache", icon=":material/hard_drive:", key="kernelsm_cache_panel", on_change="rerun") as panel:
        if not panel.open:
            return
        entries = Store().entries()
        if not entries:
            st.caption("Nothing has been computed on this server yet.")
            return
        sizes = pd.Series([entry.size / 2**20 for entry in entries])
        kinds = sizes.groupby([entry.kind.replace("_", " ") for entry in entries]).agg(["count", "sum"])
        st.dataframe(
            kinds.round(1).reset_index().set_axis(["chunks of", "number", "MiB"], axis=1),
            hide_index=True, width="content", alt="Finished chunks in the cache by kind",
        )  # fmt: skip
        st.caption(
            f"Finished chunks, shared by all who use this server. Beyond {DEFAULT_BUDGET / 2**30:.0f} GiB the least "
            "recently used are dropped. Tables and results are kept elsewhere and stay."
        )
        st.button("Delete the chunks", icon=":material/delete:", on_click=lambda: Store().clear())
