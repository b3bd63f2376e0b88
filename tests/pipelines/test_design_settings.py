"""The design of a run: what it comes to, that old settings mean what they meant, and what the table says of it."""

import json

import numpy as np
import pytest

from kernelsm import InputError, anchor_support, bernoulli_masks, load_example
from kernelsm.examples.catalog import EXAMPLES
from kernelsm.pipelines.compute import compute, run
from kernelsm.pipelines.run_settings import RunSettings, estimate_cost, example_settings, seconds_a_subset
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store
from kernelsm.workspace.tables import TABLES

OLD_ARGUMENTS = {
    "source": "digits", "estimator": "gradex", "subsets": 400, "p": 0.5, "size": None, "seed": 0, "ridge": 0.03,
    "projection": "exact", "dim": 512, "outputs": "auto", "chosen": (), "onto": "",
}  # fmt: skip


def game(**settings):
    return RunSettings("planted", "game", **settings)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_finished_examples_are_found_by_the_settings_of_before(name):
    settings = example_settings(name)
    assert settings.design == "random"
    assert np.array_equal(settings.masks(), load_example(name).masks)
    assert "design" not in settings.job().arguments
    assert "design" not in settings.sampler()


def test_the_job_of_an_earlier_version_is_the_same_job():
    before = JobSpec("kernelsm.pipelines.compute:run", OLD_ARGUMENTS)
    assert RunSettings("digits").job().key == before.key
    assert RunSettings(**OLD_ARGUMENTS) == RunSettings("digits")
    # random subsets without a repeated one are the same, with or without repeats left out
    assert RunSettings("digits", design="distinct").job().key == before.key


def test_repeats_are_left_out_where_there_are_any():
    assert len(np.unique(game(subsets=300).masks(), axis=0)) < 300
    distinct = game(subsets=300, design="distinct")
    assert (distinct.design, len(np.unique(distinct.masks(), axis=0))) == ("distinct", 300)
    assert distinct.job().key != game(subsets=300).job().key


def test_auto_is_settled_by_what_a_subset_costs():
    assert (game(design="auto").design, game(design="auto").subsets) == ("all", 1024)
    digits = RunSettings("digits", design="auto")
    assert (digits.design, digits.subsets) == ("leave_outs", 400)
    assert RunSettings("digits", design="auto", subsets=50).subsets == 317  # 1.4 seconds
    assert digits.job().key == RunSettings("digits", design="leave_outs").job().key
    slow = RunSettings("digits", "retraining", design="auto", subsets=50)
    assert 317 * seconds_a_subset(slow) > 120
    assert (slow.design, slow.subsets) == ("leave_outs", 50)
    assert anchor_support(slow.masks()).out == (1, 20, 0)


def test_what_a_subset_costs_is_what_one_more_adds():
    for settings in (RunSettings("digits"), RunSettings("digits", "retraining"), RunSettings("modular-addition")):
        more = RunSettings(settings.source, settings.estimator, subsets=1400)
        difference = estimate_cost(more).seconds - estimate_cost(settings).seconds
        assert difference == pytest.approx(1000 * seconds_a_subset(settings))


@pytest.mark.parametrize("design", ["random", "distinct", "leave_outs", "all", "auto"])
@pytest.mark.parametrize("size", [None, 4])
def test_settings_survive_the_way_to_the_job(design, size):
    settings = game(subsets=200, design=design, size=size, seed=5)
    again = RunSettings(**json.loads(json.dumps(settings.job().arguments)))
    assert again == settings
    assert np.array_equal(again.masks(), settings.masks())
    assert again.rows == len(again.masks())


def test_as_many_as_there_are_is_all_of_them_however_they_were_asked_for():
    every = game(design="all", seed=2)
    assert every.subsets == 1024
    for other in ("distinct", "leave_outs"):
        assert game(design=other, subsets=3000, p=0.3, seed=2) == every
    # the noise of the game is drawn from the seed; an estimator without noise has none
    assert game(design="all", seed=3) != every
    assert game(design="distinct", subsets=3000, size=3) == game(design="distinct", subsets=120, size=3)
    assert game(design="leave_outs", subsets=3000, size=3).rows == 120 + 1 + 10 + 45
    # what there is too little of does not take the leave-outs along
    assert game(design="leave_outs", subsets=3000, size=10).rows == 1 + 10 + 45


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"source": "digits", "design": "best"}, "design"),
        ({"source": "digits", "design": "all"}, "design"),
        ({"source": "digits", "design": ["all"]}, "design"),
        ({"source": "digits", "design": "auto", "subsets": 2}, "subsets"),
    ],
)
def test_impossible_designs_are_refused(settings, place):
    with pytest.raises(InputError) as caught:
        RunSettings(**settings)
    assert caught.value.place == place


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (game(subsets=20), {"sampler": "bernoulli", "p": 0.5}),
        (game(subsets=20, size=4), {"sampler": "fixed", "size": 4}),
        (game(subsets=90, p=0.3, design="leave_outs"), {"sampler": "bernoulli", "p": 0.3, "design": "leave_outs"}),
        (game(subsets=90, size=4, design="distinct"), {"sampler": "fixed", "size": 4, "design": "distinct"}),
        (game(design="all"), {"sampler": "all", "design": "all"}),
    ],
)
def test_the_table_says_how_its_subsets_were_drawn(settings, told):
    meta = compute(settings, silent, Store()).meta
    assert {key: meta[key] for key in ("sampler", "p", "size", "design") if key in meta} == told
    assert meta["seed"] == 0


def test_leave_outs_are_added_to_a_table_and_named():
    chosen = ("1" * 10, "0" + "1" * 9)
    settings = game(chosen=chosen, onto="planted", design="leave_outs")
    longer = TABLES.load(run(silent, Store(), **settings.job().arguments)["run"])
    assert longer.meta["sampler"] == "leave-outs"
    assert longer.m == 302
    # how others were drawn means nothing beside chosen ones
    assert game(chosen=chosen, design="all") == game(chosen=chosen)
    assert game(chosen=chosen).sampler()["sampler"] == "next best"


def test_a_table_of_leave_outs_holds_leave_one_out():
    without = compute(game(subsets=16, design="leave_outs"), silent, Store())
    assert anchor_support(without.masks).out == (1, 0, 0)  # 11 would be more than two thirds of 16
    outcomes = compute(game(subsets=17, design="leave_outs"), silent, Store())
    assert anchor_support(outcomes.masks).holds_leave_one_out
    assert np.array_equal(outcomes.masks[11:], bernoulli_masks(10, 6))
