"""Claims that are answered by finished results."""

import json
from pathlib import Path

import numpy as np
import pytest

from kernelsm import lds, load_truth
from kernelsm.examples.catalog import load_estimates_of_truth, load_selection
from kernelsm.paper.attribution import RIVALS, lds_estimate
from kernelsm.paper.findings import load_findings
from kernelsm.paper.finished import table_2, table_4, table_5

PROMPTING = Path(__file__).parents[2] / "benchmarks" / "results" / "prompting.json"


def test_the_interval_of_an_lds_is_around_it_and_narrows_with_more_subsets():
    truth, estimates = load_truth("digits").values, load_estimates_of_truth("digits").values
    noisy = estimates + np.random.default_rng(0).normal(0, 0.5, estimates.shape)
    every, few = lds_estimate(truth, noisy), lds_estimate(truth[:20], noisy[:20])
    assert every.value == pytest.approx(lds(truth, noisy))
    assert every.low < every.value < every.high
    assert few.high - few.low > 1.5 * (every.high - every.low)


def test_the_paper_s_choice_of_prompts_is_compared_with_that_of_a_linear_surrogate():
    rows = {row.what: row for row in table_4().rows}
    choices = {choice.name: choice for choice in load_selection("movie-reviews").choices}
    chosen = next(row for what, row in rows.items() if what.startswith("movie reviews") and "attribution" in what)
    assert chosen.ours.value == choices["top by attribution"].loss
    assert chosen.holds is False


def test_first_order_errors_are_those_of_the_finished_checks():
    errors = {row.what.split(":")[0]: row for row in table_2().rows if row.ours is not None}
    assert errors["handwritten digits"].ours.value < errors["modular quadratic"].ours.value
    assert errors["handwritten digits"].holds


def test_models_that_are_too_large_are_named_with_what_they_need():
    found = table_5(json.loads(PROMPTING.read_text()))
    large = [row for row in found.rows if row.ours is None]
    assert [row.what for row in large][-1] == "CodeLlama-34B"
    assert "34 billion" in large[-1].note
    assert found.verdict == "not here"


def test_rivals_that_were_not_run_are_named():
    table = next(found for found in load_findings() if found.key == "table3")
    missing = {row.what for row in table.rows if row.ours is None}
    run = {line["method"] for line in table.table}
    for method in RIVALS:
        assert (method in missing) != (method in run)
        assert any(row.what.startswith(method) for row in table.rows if row.ours is None)


def test_on_networks_the_default_surrogate_is_clearly_above_every_rival_that_was_run():
    table = next(found for found in load_findings() if found.key == "table3")
    against = [
        row for row in table.rows
        if " minus " in row.what and row.what.rpartition(" minus ")[2] in RIVALS and "in a prompt" not in row.what
    ]  # fmt: skip
    assert len(against) >= 8
    assert all(row.holds and row.ours.low > 0.02 for row in against)
