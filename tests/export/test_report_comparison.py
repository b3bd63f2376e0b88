"""The part of a report that sets another view beside it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from results import EVIL_TASK, evil, planted, small_table

from kernelsm import Outcomes, load_example
from kernelsm.__main__ import main
from kernelsm.evaluation.two_views import compare_views
from kernelsm.evaluation.two_views_words import two_views_sentence
from kernelsm.evaluation.views import View
from kernelsm.export.report import html_report
from kernelsm.export.report_comparison import Beside
from kernelsm.export.result import Settings, result_of


def rows(page: str, caption: str) -> dict[str, list[str]]:
    """Cells of the table of this caption, by the name of their row."""
    (table,) = re.findall(rf"<caption>{caption}.*?</table>", page, re.DOTALL)
    found = re.findall(r'<tr><th scope="row">([^<]*)</th>(.*?)</tr>', table)
    return {name: re.findall(r"<td[^>]*>([^<]*)</td>", cells) for name, cells in found}


def number(text: str) -> float:
    return float(text.split(" ± ")[0])


def test_the_report_holds_the_sentence_the_differences_and_their_chart() -> None:
    outcomes = load_example("planted")
    found = compare_views(View(outcomes), View(outcomes, readout="shapley"))
    page = html_report(planted(), beside=[Beside(("leave one out", "Shapley"), found)])
    assert two_views_sentence(found) in page.replace("&#39;", "'")
    assert "<li>leave one out</li><li>Shapley</li>" in page
    shown = rows(page, "Effects in both views")
    assert set(shown) == set(outcomes.task_names)
    for k, name in enumerate(outcomes.task_names):
        first, second, difference = (number(text) for text in shown[name][:3])
        assert first == pytest.approx(found.effects[0][k], abs=6e-4)
        assert second == pytest.approx(found.effects[1][k], abs=6e-4)
        assert difference == pytest.approx(found.effects[0][k] - found.effects[1][k], abs=6e-4)
        assert shown[name][4] == f"{found.ranks[0][k]:g} and {found.ranks[1][k]:g}"
    assert len(rows(page, "The interactions that differ most")) == 15
    charts = json.loads(re.findall(r'id="charts">(.*?)</script>', page)[0])
    assert "beside0" in charts
    assert 'id="beside0"' in page


def test_without_a_comparison_there_is_no_such_part() -> None:
    assert "Beside another view" not in html_report(planted())


def test_names_of_a_comparison_stay_text() -> None:
    result = evil()
    sides = View(result.outcomes, kernel="rbf"), View(result.outcomes, kernel="linear")
    page = html_report(result, beside=[Beside(("<b>one</b>", EVIL_TASK), compare_views(*sides))])
    assert EVIL_TASK not in page
    assert "<b>" not in page
    assert "&lt;b&gt;one&lt;/b&gt;" in page


def test_views_that_measure_different_things_have_ranks_and_no_differences() -> None:
    table = small_table(K=4, m=40)
    accuracy = Outcomes(table.masks, -table.values, task_names=table.task_names, meta={"unit": "accuracy"})
    found = compare_views(View(table, kernel="rbf"), View(accuracy, kernel="rbf"))
    result = result_of(table, Settings.checked(table, kernel="rbf"), title="x", table="x.csv", is_example=False)
    page = html_report(result, beside=[Beside(("loss", "accuracy"), found)])
    assert "which cannot be subtracted" in page
    shown = rows(page, "Effects in both views")
    assert all(len(cells) == 3 for cells in shown.values())
    assert [cells[2] for cells in shown.values()] == [
        f"{a:g} and {b:g}" for a, b in np.stack(found.ranks, axis=1)[_strongest(found)]
    ]


def _strongest(found):
    sides = [np.abs(side) / np.abs(side).max() for side in found.effects]
    return np.argsort(-np.maximum(*sides), kind="stable")


def test_what_cannot_be_compared_says_why() -> None:
    page = html_report(planted(), beside=[Beside(("a", "b"), None, "tasks: found x; expected another.")])
    assert "tasks: found x; expected another." in page
    assert "beside0" not in page


def test_the_command_writes_a_comparison_where_a_second_view_is_named(tmp_path, capsys) -> None:
    file = tmp_path / "x.html"
    arguments = ["report", "planted", "--kernel", "rbf", "--with-kernel", "linear", "--out", str(file)]
    assert main(arguments) == 0
    page = file.read_text()
    assert "<li>planted, target 0" in page or "<li>planted, " in page
    assert "linear ridge 0.1" in page
    assert len(rows(page, "Effects in both views")) == 10
    capsys.readouterr()
