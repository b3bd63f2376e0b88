"""The whole app through Streamlit's own test harness, always entered by app.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Uploads, runs and jobs of a test stay in its own folder."""
    import streamlit as st

    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path / "cache"))
    st.cache_resource.clear()
    return tmp_path / "cache"


def open_app(page: str = "", **params: str) -> AppTest:
    """Run app.py with URL parameters and turn to a page (its file name without number and ending)."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in params.items():
        app.query_params[name] = value
    app.run()
    if page:
        (file,) = ROOT.glob(f"pages/?_{page}.py")
        app.switch_page(f"pages/{file.name}").run()
    assert not app.exception
    return app


def texts(app: AppTest) -> str:
    """All words on the page."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "success", "warning", "error")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind))
