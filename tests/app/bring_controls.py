"""The controls of the page that data is brought on: what they say, and how they are changed."""

from __future__ import annotations

import hashlib
from typing import Any

import pandas as pd
import small_files
from app_harness import charts
from streamlit.testing.v1 import AppTest

WIDGETS = {
    "label": "selectbox", "kind": "segmented_control", "inputs": "multiselect", "rule": "segmented_control",
    "tasks": "multiselect", "count": "number_input", "split": "selectbox", "fraction": "slider",
    "target": "selectbox",
}  # fmt: skip
BY_TASK = {"rule": "column", "tasks": ["task"], "split": "", "fraction": 0.25, "target": "(task)"}
NUMBERS = {"label": "label", "kind": "tabular", "inputs": ["a", "b"]}
GUESSES: dict[str, dict[str, Any]] = {
    "numbers.csv": {**NUMBERS, **BY_TASK},
    "plants.tsv": {
        **NUMBERS, "label": "species", "rule": "clusters", "count": 3, "split": "", "fraction": 0.25, "target": "",
    },
    "labels.parquet": {**NUMBERS, "rule": "label", "split": "split", "target": ""},
    "reviews.jsonl": {"label": "label", "kind": "text", "inputs": ["text"], **BY_TASK, "tasks": ["source"]},
    "images.npz": {"label": "label", "kind": "image", "inputs": ["images"], **BY_TASK},
    "tokens.npz": {
        "label": "label", "kind": "tokens", "inputs": ["tokens"], "rule": "slices", "count": 3, "split": "",
        "fraction": 0.25, "target": "",
    },
    "numbers.xlsx": {**NUMBERS, **BY_TASK},
    "dataset.zip": {**NUMBERS, "rule": "column", "tasks": ["task"], "split": "split", "target": "(task)"},
}  # fmt: skip


def key_of(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def meaning(app: AppTest, data: bytes) -> dict[str, Any]:
    """What the controls say that the columns of a file mean; those that are not drawn are left out."""
    found = {}
    for field, kind in WIDGETS.items():
        try:
            found[field] = getattr(app, kind)(key=f"bring_{field}_{key_of(data)}").value
        except KeyError:
            continue
    return found


def csv_of(**columns: Any) -> bytes:
    return small_files.csv(pd.DataFrame(columns))


def change(app: AppTest, data: bytes, field: str, value: Any) -> AppTest:
    getattr(app, WIDGETS[field])(key=f"bring_{field}_{key_of(data)}").set_value(value).run()
    assert not app.exception
    return app


def heatmap(app: AppTest) -> tuple[list[str], list[str]]:
    """Names beside and below the heatmap of interactions."""
    (found,) = (figure["layout"] for figure in charts(app) if figure["data"][0]["type"] == "heatmap")
    return found["xaxis"]["ticktext"], found["yaxis"]["ticktext"]
