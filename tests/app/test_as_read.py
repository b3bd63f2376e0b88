"""What was done to a file, and what its columns seem to mean and why, stands on the page."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from app_harness import open_app
from bring_controls import meaning
from streamlit.testing.v1 import AppTest

pytestmark = pytest.mark.usefixtures("warm_server")

FILES = Path(__file__).resolve().parents[1] / "own_data"


def brought(name: str, data: bytes | None = None) -> AppTest:
    app = open_app("data", run="planted")
    app.file_uploader(key="bring_samples").upload(name, data or (FILES / name).read_bytes()).run()
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    """Notes, warnings and captions, as they are read."""
    return "\n".join(one.value for one in (*app.info, *app.warning, *app.caption)).replace("\\", "")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "nested_field.jsonl",
            ("left out: metadata, tags.", "Left out: nested_field.jsonl, line 1, field 'metadata'"),
        ),
        ("windows_1252.csv", ("Its text is read as Windows-1252",)),
        ("index_column.csv", ("Column 1 has no name and numbers the rows", "Guessed: source. Its name says so")),
        ("breast_all256.csv", ("Then choose *A table of outcomes* above",)),
        (
            "sorted_source_split.csv",
            (
                "A first guess from all 2,000 rows",
                "Guessed: split. Its values say so: test (200 rows), train (1,800 rows).",
            ),
        ),
    ],
)
def test_what_was_done_and_guessed_is_said(name: str, words: tuple[str, ...]) -> None:
    app = brought(name)
    assert not app.error
    assert all(part in said(app) for part in words), said(app)


def test_labels_in_lists_are_asked_about_before_anything_goes_on() -> None:
    labels = ["sport", "news", "sport, news", "news, art"] * 10
    rows = "".join(f'{i % 7},"{label}",{"ab"[i % 2]}\n' for i, label in enumerate(labels))
    data = f"x,label,source\n{rows}".encode()
    app = brought("lists.csv", data)
    assert "Is “news, art” several labels, or the name of one class?" in said(app)
    assert "Say what the label is." in said(app)
    key = f"bring_objective_{hashlib.sha1(data).hexdigest()}_label"
    assert app.segmented_control(key=key).value is None
    app.segmented_control(key=key).set_value("several labels").run()
    assert not app.exception
    assert "Say what the label is." not in said(app)
    assert meaning(app, data)["inputs"] == ["x"]


def test_an_error_below_the_first_rows_is_said_at_once() -> None:
    late = "x,label\n" + "".join(f"{i},a\n" for i in range(3_000)) + "1,2,3\n"
    app = brought("late.csv", late.encode())
    (error,) = app.error
    assert "late.csv, row 3,001" in error.value.replace("\\", "")
