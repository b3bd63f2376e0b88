"""The whole app through Streamlit's own test harness, always entered by app.py."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]


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
