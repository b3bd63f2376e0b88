"""Settings of a run and the whole way from the digits to outcomes."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from kernelsm import InputError, Outcomes, load_example
from kernelsm.examples.catalog import EXAMPLES
from kernelsm.models.hashing import model_hash
from kernelsm.pipelines.compute import base_model, compute, play, run
from kernelsm.pipelines.run_settings import RunSettings, example_settings
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store
from kernelsm.workspace.projects import find_recipe
from kernelsm.workspace.tables import TABLES, save_run


@pytest.fixture(autouse=True)
def _one_core(monkeypatch):
    """The problems here are small: threads on shared cores make them ten times slower."""
    monkeypatch.setattr("kernelsm.runtime.threads.available_cores", lambda: 1)


def test_the_whole_way_is_resumable_and_its_bar_never_runs_backwards():
    settings = RunSettings("digits", "gradex", subsets=4, projection="gaussian", dim=16)
    heard = []

    def report(done, total, message="", *, reused=False):
        heard.append((done, total))

    first_store, second_store = Store(), Store()
    first = compute(settings, report, first_store)
    done = [step for step, _ in heard]
    assert len({total for _, total in heard}) == 1
    assert done == sorted(set(done))
    assert heard[-1][0] == heard[-1][1]
    second = compute(settings, silent, second_store)
    assert first_store.computed == second_store.reused == len(heard) - 1  # W0 is read, not computed
    assert second_store.computed == first_store.reused == 0
    assert first.content_hash == second.content_hash
    assert np.isfinite(first.values).all()
    assert first.meta["projection"] == "Gaussian, 16 dimensions"


def test_w0_is_trained_once_for_each_seed_and_told_of_epoch_by_epoch():
    heard = []

    def report(done, total, message="", *, reused=False):
        heard.append((done, total, message, reused))

    store = Store()
    first = base_model("digits", store, report, retrain=True)
    assert heard[:-1] == [(epoch, 101, "base model", None) for epoch in range(1, 101)]
    assert heard[-1] == (1, 1, "base model", False)
    heard.clear()
    again = base_model("digits", store, report, retrain=True)
    assert heard == [(1, 1, "base model", True)]
    assert (store.computed, store.reused) == (1, 1)
    other = base_model("digits", store, seed=1)
    assert store.computed == 2
    for name, weights in first.state_dict().items():
        assert np.array_equal(weights, again.state_dict()[name])
        assert not np.array_equal(weights, other.state_dict()[name])


def test_w0_that_is_there_is_no_work_saved_and_estimates_learn_from_the_job(monkeypatch):
    recipe = replace(find_recipe("digits"), trained_weights=None)
    monkeypatch.setattr("kernelsm.pipelines.compute.find_recipe", lambda source: recipe)
    store = Store()
    base_model("digits", store)
    heard = []
    base_model("digits", store, lambda *told, reused=False: heard.append(reused))
    assert heard == [None]
    assert store.reused == 1


def test_the_shipped_w0_is_read_and_another_seed_is_trained():
    store, heard = Store(), []
    model = base_model("digits", store, lambda *told, **named: heard.append((told, named["reused"])))
    assert heard == [((1, 1, "base model"), None)]
    assert (store.computed, store.reused) == (0, 0)
    assert model_hash(model) == load_example("digits").meta["weights"]
    assert not model.training
    retrained = base_model("digits", store, retrain=True)
    assert store.computed == 1
    # the same network but for what processors round otherwise
    shipped, anew = (dict(one.named_parameters()) for one in (model, retrained))
    for name, weights in shipped.items():
        assert torch.allclose(weights, anew[name], atol=0.05)


def test_subsets_are_drawn_as_the_settings_say():
    settings = RunSettings("planted", "game", subsets=50, p=0.2, seed=3)
    outcomes = compute(settings, silent, Store())
    assert np.array_equal(outcomes.masks, settings.masks())
    assert outcomes.masks.mean() < 0.35
    assert (outcomes.meta["p"], outcomes.meta["seed"]) == (0.2, 3)
    more = replace(settings, subsets=80)
    assert np.array_equal(more.masks()[:50], settings.masks())


def test_a_size_replaces_the_inclusion_probability():
    settings = RunSettings("planted", "game", subsets=30, size=4)
    assert set(settings.masks().sum(axis=1)) == {4}
    assert compute(settings, silent, Store()).meta["size"] == 4


def test_every_setting_is_part_of_the_jobs_identity():
    base = RunSettings("digits")
    changes = [
        {"estimator": "retraining"}, {"subsets": 401}, {"p": 0.4}, {"seed": 1}, {"ridge": 0.1},
        {"projection": "gaussian"}, {"projection": "gaussian", "dim": 256}, {"size": 4}, {"chosen": ["01" * 10]},
        {"onto": "digits"},
        {"outputs": "margin"},
    ]  # fmt: skip
    keys = {replace(base, **change).job().key for change in changes}
    assert len(keys | {base.job().key}) == len(changes) + 1


def test_equal_work_is_one_job_however_it_was_asked_for():
    exact = RunSettings("digits", ridge=0.03, projection="exact").job()
    assert RunSettings("digits").job().key == RunSettings("digits", projection="auto").job().key == exact.key
    large = RunSettings("modular-addition", ridge=10.0, projection="adapted", dim=512).job()
    assert RunSettings("modular-addition").job().key == large.key
    assert exact.arguments["projection"] == "exact"
    assert large.arguments["projection"] == "adapted"
    assert RunSettings("planted", "game").ridge == 1.0  # the game has none


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"source": "letters"}, "source"),
        ({"source": "planted", "estimator": "gradex"}, "estimator of planted"),
        ({"source": "digits", "subsets": 2}, "subsets"),
        ({"source": "digits", "subsets": 20_001}, "subsets"),
        ({"source": "digits", "p": 0.0}, "p"),
        ({"source": "digits", "p": float("nan")}, "p"),
        ({"source": "digits", "seed": -1}, "seed"),
        ({"source": "digits", "ridge": 0.0}, "ridge"),
        ({"source": "digits", "ridge": float("inf")}, "ridge"),
        ({"source": "digits", "dim": 1}, "dim"),
        ({"source": "digits", "projection": "dense"}, "projection"),
        ({"source": "modular-addition", "projection": "exact"}, "projection"),
        ({"source": "modular-addition", "projection": "adapted", "dim": 1024}, "projection"),
        ({"source": "digits", "outputs": "labels"}, "outputs"),
        ({"source": "planted", "estimator": "game", "chosen": "1111111111"}, "chosen"),
        ({"source": "planted", "estimator": "game", "chosen": ["1111111111", "111"]}, "chosen, subset 2"),
        ({"source": "planted", "estimator": "game", "chosen": ["111111111x"]}, "chosen, subset 1"),
        ({"source": "planted", "estimator": "game", "chosen": ["111111111\n"]}, "chosen, subset 1"),
        ({"source": "planted", "estimator": "game", "chosen": [[1] * 10]}, "chosen, subset 1"),
        ({"source": "planted", "estimator": "game", "chosen": ["1" * 10] * 20_001}, "subsets"),
        ({"source": "digits", "onto": "../../etc/passwd"}, "onto"),
        ({"source": "digits", "onto": "letters"}, "onto"),
    ],
)
def test_impossible_settings_are_refused(settings, place):
    with pytest.raises(InputError) as caught:
        RunSettings(**settings)
    assert caught.value.place == place


CHOSEN = ("1" * 10, "1101111111", "0" * 10)
PLANTED = RunSettings("planted", "game", seed=300, chosen=CHOSEN, onto="planted")


def test_chosen_subsets_survive_json_and_replace_the_random_ones():
    again = RunSettings(**json.loads(json.dumps(asdict(PLANTED))))
    assert again == PLANTED
    assert again.job().key == PLANTED.job().key
    assert again.subsets == 3
    assert ["".join(map(str, mask)) for mask in again.masks().astype(int)] == list(CHOSEN)
    # how many random ones were asked for before does not make it another job
    assert replace(PLANTED, subsets=77).job().key == PLANTED.job().key


def test_the_longer_table_is_the_old_one_and_the_game_on_the_chosen_subsets():
    store = Store()
    before = load_example("planted")
    longer = TABLES.load(run(silent, store, **asdict(PLANTED))["run"])
    assert longer.m == before.m + 3
    assert np.array_equal(longer.masks[:-3], before.masks)
    assert np.array_equal(longer.values[:-3], before.values)
    assert np.array_equal(longer.masks[-3:], PLANTED.masks())
    assert np.array_equal(longer.values[-3:], play(300, PLANTED.masks()).values)
    told = {key: longer.meta[key] for key in ("sampler", "onto", "added", "seed", "computed_from", "unit")}
    assert told == {
        "sampler": "next best", "onto": "planted", "added": 3, "seed": 300, "computed_from": "planted",
        "unit": "nats",
    }  # fmt: skip


def test_a_longer_table_is_continued_by_its_own_metadata():
    store = Store()
    first = run(silent, store, **asdict(PLANTED))["run"]
    settings = RunSettings.like(TABLES.load(first).meta, seed=303, chosen=("0101010101",), onto=first)
    second = TABLES.load(run(silent, store, **asdict(settings))["run"])
    assert second.m == 304
    assert second.meta["onto"] == first
    assert np.array_equal(second.values[:303], TABLES.load(first).values)
    assert second.values[303] != TABLES.load(first).values[300]  # other noise


def test_settings_like_a_table_are_those_it_was_computed_with():
    for name in EXAMPLES:
        outcomes = load_example(name)
        like = RunSettings.like(outcomes.meta, subsets=outcomes.m, p=outcomes.meta["p"], seed=outcomes.meta["seed"])
        assert np.array_equal(like.masks(), outcomes.masks)
        assert replace(like, outputs="auto") == example_settings(name)  # a table says what "auto" came to
    meta = {"computed_from": "digits", "estimator": "gradex", "ridge": 0.2, "projection": "Gaussian, 16 dimensions"}
    assert RunSettings.like(meta) == RunSettings("digits", ridge=0.2, projection="gaussian", dim=16)


@pytest.mark.parametrize(
    "meta",
    [
        {}, {"source": "mine.csv"}, {"computed_from": "digits"},
        {"computed_from": "digits", "estimator": "game without noise"}, {"computed_from": [], "estimator": "gradex"},
        {"computed_from": "digits", "estimator": "gradex", "ridge": "high"},
        {"computed_from": "digits", "estimator": "gradex", "projection": "Gaussian, 0 dimensions"},
    ],
)  # fmt: skip
def test_metadata_that_names_no_example_gives_no_settings(meta):
    assert RunSettings.like(meta) is None


def test_a_table_that_is_not_here_or_is_of_another_kind_is_refused():
    store = Store()
    with pytest.raises(InputError, match="Upload or compute the table again") as caught:
        run(silent, store, **asdict(replace(PLANTED, onto="0" * 40)))
    assert caught.value.place == "onto"
    before = load_example("planted")
    named = {"task_names": before.task_names, "target_names": before.target_names}
    others = {
        "tasks": Outcomes(before.masks, before.values, target_names=before.target_names),
        "targets": Outcomes(before.masks, before.values, task_names=before.task_names),
        "sign": Outcomes(before.masks, before.values, higher_is_better=True, **named),
        "estimator": Outcomes(before.masks + 0, before.values + 1, meta={"estimator": "game without noise"}, **named),
    }
    for place, table in others.items():
        with pytest.raises(InputError) as caught:
            run(silent, store, **asdict(replace(PLANTED, onto=save_run(table))))
        assert caught.value.place.startswith(f"{place} of the table")


def test_gradex_and_retraining_measure_chosen_subsets_and_reuse_finished_chunks():
    store = Store()
    settings = RunSettings("digits", "gradex", subsets=4, projection="gaussian", dim=16)
    before = compute(settings, silent, store)
    key = save_run(before)
    seen = "".join("1" if inside else "0" for inside in before.masks[2])
    computed = store.computed
    wanted = RunSettings.like(before.meta, chosen=(seen, "1" * 20), onto=key)
    longer = TABLES.load(run(silent, store, **asdict(wanted))["run"])
    assert store.computed == computed + 1  # one block of masks: W0 and the gradients were there
    assert longer.masks.shape == (6, 20)
    assert np.array_equal(longer.values[:4], before.values)
    assert longer.values[4] == pytest.approx(before.values[2], rel=1e-4)
    retrained = compute(RunSettings("digits", "retraining", chosen=("1" * 20,)), silent, store)
    assert retrained.values.shape == (1, 10)
    assert store.computed == computed + 2
    with pytest.raises(InputError) as caught:
        run(silent, store, **asdict(RunSettings("digits", "retraining", chosen=("1" * 20,), onto=key)))
    assert caught.value.place == f"estimator of the table {key}"
    assert store.computed == computed + 2
