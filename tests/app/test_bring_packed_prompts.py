"""Demonstrations and queries dropped as workbooks, lists of rows and gzip'd text."""

from __future__ import annotations

import gzip
import io
import json

import pandas as pd
import pytest
from app_harness import open_app, texts

pytestmark = pytest.mark.usefixtures("warm_server")
ROWS = [{"text": f"film {i}, as seen", "label": ("yes", "no")[i % 2]} for i in range(6)]


def workbook() -> bytes:
    sink = io.BytesIO()
    with pd.ExcelWriter(sink) as book:
        pd.DataFrame(ROWS).to_excel(book, sheet_name="mine", index=False)
        pd.DataFrame(ROWS).to_excel(book, sheet_name="more", index=False)
    return sink.getvalue()


def test_texts_are_brought_in_the_formats_of_samples_and_what_is_wrong_is_said() -> None:
    app = open_app("data", run="planted")
    app.segmented_control(key="kernelsm_bring").set_value("Demonstrations for a prompt").run()
    packed = gzip.compress(pd.DataFrame(ROWS).to_csv(index=False).encode())
    for group, name, data in (
        ("candidates", "shown.xlsx", workbook()),
        ("queries", "asked.json", json.dumps(ROWS).encode()),
        ("fresh", "fresh.csv.gz", packed),
    ):
        app.file_uploader(key=f"bring_prompts_{group}").set_value([(name, data, "")]).run()
        assert not app.exception
        assert not app.error
    said = texts(app).replace("\\", "")
    assert "6 candidates, 6 queries, 6 fresh queries. Label words: yes (3), no (3)." in said
    assert "shown.xlsx: The sheet “mine” is read; 1 other is not." in said
    app.file_uploader(key="bring_prompts_fresh").set_value([("fresh.csv.gz", packed[:-9], "")]).run()
    assert not app.exception
    (error,) = app.error
    assert "a damaged gzip file" in error.value
