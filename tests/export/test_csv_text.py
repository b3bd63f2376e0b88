"""A CSV that leaves the app is what it says in a spreadsheet: names are texts, numbers are numbers."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from nasty_names import NASTY, nasty_table

from kernelsm import Outcomes
from kernelsm.export.csv_text import csv_text, is_formula

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\tx", "\rx", " =1", "＝1+1", "-", "+a", "=-0.5"]
)
def test_what_a_spreadsheet_would_run_is_made_a_text(text):
    rows = list(csv.reader(io.StringIO(csv_text(pd.DataFrame({"name": [text], text: [1]})), newline="")))
    assert all(cell.startswith("'") and cell[1:] == text for cell in (rows[0][1], rows[1][0]))


@pytest.mark.parametrize(
    "text", ["-0.5", "+3", "1e-3", "-.5", "12%", "-0.12 ± 0.03", "-1 to 2", "north", "a=b", "x-1", ""]
)
def test_numbers_and_other_texts_stay_as_they_are(text):
    assert not is_formula(text)
    assert list(csv.reader(io.StringIO(csv_text(pd.DataFrame({"name": [text, "b"]})))))[1:] == [
        [text] if text else [""],
        ["b"],
    ]


def test_numbers_stay_numbers():
    table = pd.DataFrame({"task": ["=1"], "effect": [-0.5], "n": [-3], "known": [True]})
    assert csv_text(table) == "task,effect,n,known\r\n'=1,-0.5,-3,True\r\n"


def test_no_cell_of_a_table_of_outcomes_is_a_formula_and_its_names_come_back(tmp_path):
    outcomes = nasty_table(q=2)
    content = outcomes.save(tmp_path / "a.csv").read_text()
    assert not [cell for row in csv.reader(io.StringIO(content)) for cell in row if is_formula(cell)]
    back = Outcomes.load(tmp_path / "a.csv")
    assert (back.task_names, back.target_names) == (outcomes.task_names, outcomes.target_names)
    assert back.task_names == NASTY


def test_pages_write_csv_in_no_other_way_and_draw_tables_in_one_place():
    for path in (ROOT / "kernelsm" / "app").rglob("*.py"):
        text = path.read_text()
        assert "to_csv" not in text, path
        if path.name != "shown_tables.py":
            assert "st.dataframe" not in text, path
            assert "st.data_editor" not in text, path
