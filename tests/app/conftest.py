"""Each test of the app has a cache of its own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Uploads, runs and jobs of a test stay in its own folder."""
    import streamlit as st

    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path / "cache"))
    st.cache_resource.clear()
    return tmp_path / "cache"
