"""`python -m kernelsm views`: what Compare shows of two views, on the command line."""

import json

import numpy as np
import pytest

from kernelsm import Outcomes, load_example
from kernelsm.__main__ import main
from kernelsm.evaluation.two_views import compare_views
from kernelsm.evaluation.views import View

NAMES = ["north", "east", "south"]


@pytest.fixture
def tables(tmp_path):
    rng = np.random.default_rng(0)
    masks = rng.random((40, 3)) < 0.5
    values = masks @ [0.5, -0.25, 0.0] + rng.normal(0, 0.01, 40)
    before = Outcomes(masks, values, task_names=NAMES, target_names=["all"]).save(tmp_path / "before.csv")
    after = Outcomes(masks[:, [1, 0]], values + 0.3 * masks[:, 1], task_names=["east", "north"], target_names=["all"])
    return str(before), str(after.save(tmp_path / "after.csv"))


def test_two_surrogates_of_an_example_give_the_numbers_of_the_library(capsys):
    settings = ["--kernel", "rbf", "--gamma", "0.05", "--ridge", "0.01", "--with-kernel", "linear"]
    assert main(["views", "planted", *settings, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    outcomes = load_example("planted")
    found = compare_views(View(outcomes, "", "rbf", 0.05, 0.01), View(outcomes, "", "linear", None, 0.01))
    assert printed["how"] == "rows left out"
    assert [row["task"] for row in printed["tasks"]] == list(outcomes.task_names)
    assert [row["difference"] for row in printed["tasks"]] == pytest.approx(found.differences.values)
    assert [row["margin"] for row in printed["tasks"]] == pytest.approx(found.differences.margin)
    assert printed["pairs"] == []
    assert main(["views", "planted", *settings, "--top", "2"]) == 0
    said = capsys.readouterr().out
    assert "each subset was left out of both fits in turn" in said
    assert said.count("against") >= 2


def test_tables_with_other_tasks_are_matched_by_name(tables, capsys):
    before, after = tables
    assert main(["views", before, "--with", after]) == 0
    said = capsys.readouterr().out
    assert "Only the first view has south: not compared." in said
    assert "different subsets" in said
    assert main(["views", before, "--with", after, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [row["task"] for row in printed["tasks"]] == ["north", "east"]
    assert printed["only_first"] == ["south"]


def test_fewer_subsets_of_one_table_stand_beside_all_of_them(capsys):
    assert main(["views", "planted", "--kernel", "linear", "--with-used", "60"]) == 0
    assert "One was fitted to the first subsets of the other" in capsys.readouterr().out
    assert main(["views", "planted", "--with-used", "2"]) == 2


def test_what_cannot_be_compared_is_refused_or_compared_by_ranks(tables, tmp_path, capsys):
    before, _ = tables
    outcomes = Outcomes.load(before)
    score = Outcomes(outcomes.masks, -outcomes.values, task_names=NAMES, higher_is_better=True)
    path = str(score.save(tmp_path / "score.parquet"))
    assert main(["views", before, "--with", path]) == 0
    assert "only ranks are compared" in capsys.readouterr().out
    assert main(["views", before, "--with", "planted"]) == 2
    assert "at least one task of the same name" in capsys.readouterr().err
    assert main(["views", before, "--with-target", "none"]) == 2
    assert main(["views", before, "--top", "0"]) == 2
