"""Every chart of every page is drawn by one function, which also gives its numbers: none is forgotten."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from app_harness import ROOT, open_app

from kernelsm.app.shell.shown_tables import rounded
from kernelsm.app.shell.spoken import words_alone

DRAWS = {"plotly_chart", "altair_chart", "vega_lite_chart", "bar_chart", "line_chart", "scatter_chart", "area_chart"}
WRAPPER = Path("kernelsm/app/shell/frame.py")


def drawing_calls(file: Path) -> list[str]:
    return [
        node.func.attr
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in DRAWS
    ]


def test_no_page_draws_a_chart_past_the_one_function_that_gives_its_numbers() -> None:
    files = [*(ROOT / "kernelsm" / "app").rglob("*.py"), *(ROOT / "pages").glob("*.py")]
    found = {file.relative_to(ROOT): calls for file in files if (calls := drawing_calls(file))}
    assert found == {WRAPPER: ["plotly_chart"]}


@pytest.mark.parametrize(("page", "chart"), [("explore", "explore_bars"), ("start", "start_heatmap")])
def test_a_chart_gives_its_numbers_when_asked(page: str, chart: str) -> None:
    app = open_app(page, run="planted")
    assert not [frame for frame in app.dataframe if "first" in frame.value.columns]
    app.session_state[f"{chart}_numbers"] = True
    app.run()
    assert not app.exception
    tables = [frame.value for frame in app.dataframe]
    if page == "explore":
        (table,) = (table for table in tables if "effect (loss, nats)" in table.columns)
        assert len(table) == 10
    else:
        (table,) = (table for table in tables if "first" in table.columns)
        assert len(table) == 45


def test_numbers_have_the_decimals_of_their_margins_and_stay_numbers() -> None:
    table = pd.DataFrame({"effect": [0.38612, -0.004321, 12.0, 0.5], "±": [0.0431, 0.0001, np.nan, 3.0]})
    styled = rounded(table, {"effect": "±"}, signed=True)
    shown = [
        [cell["display_value"] for cell in row if cell["type"] == "td"]
        for row in styled._translate(False, False)["body"]
    ]
    assert shown == [["+0.386", "0.043"], ["-0.00432", "0.00010"], ["+12", ""], ["+0.5", "3.0"]]
    assert styled.data["effect"].tolist() == table["effect"].tolist()


def test_a_sentence_is_spoken_without_its_marks() -> None:
    assert words_alone(r"**3 hurt** (a\_b, :color[\:]x): *LDS* `p`") == "3 hurt (a_b, :x): LDS p"
