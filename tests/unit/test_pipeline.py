"""Settings of a run and the whole way from the digits to outcomes."""

from dataclasses import replace

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.outcomes.pipeline import RunSettings, compute
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store


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
    assert first_store.computed == second_store.reused == len(heard)
    assert second_store.computed == 0
    assert first.content_hash == second.content_hash
    assert np.isfinite(first.values).all()
    assert first.meta["projection"] == "Gaussian, 16 dimensions"


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
        {"projection": "gaussian"}, {"dim": 256}, {"size": 4},
    ]  # fmt: skip
    keys = {replace(base, **change).job().key for change in changes}
    assert len(keys | {base.job().key}) == len(changes) + 1
    assert RunSettings("digits").job().key == base.job().key


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"example": "letters"}, "example"),
        ({"example": "planted", "estimator": "gradex"}, "estimator of planted"),
        ({"example": "digits", "subsets": 2}, "subsets"),
        ({"example": "digits", "subsets": 20_001}, "subsets"),
        ({"example": "digits", "p": 0.0}, "p"),
        ({"example": "digits", "p": float("nan")}, "p"),
        ({"example": "digits", "seed": -1}, "seed"),
        ({"example": "digits", "ridge": 0.0}, "ridge"),
        ({"example": "digits", "ridge": float("inf")}, "ridge"),
        ({"example": "digits", "dim": 1}, "dim"),
        ({"example": "digits", "projection": "sparse"}, "projection"),
    ],
)
def test_impossible_settings_are_refused(settings, place):
    with pytest.raises(InputError) as caught:
        RunSettings(**settings)
    assert caught.value.place == place
