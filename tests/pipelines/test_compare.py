"""The job that compares attribution methods: cost first, chunks kept, methods that cannot answer named."""

import json

import numpy as np
import pytest

from kernelsm import InputError, load_example
from kernelsm.attributors.catalog import METHODS, Given, make_method, possible_methods
from kernelsm.attributors.from_table import Datamodels
from kernelsm.pipelines.compare import CompareSettings, MethodsAtHand, compare
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store
from kernelsm.surrogates.linear import LinearSurrogateCV


def test_a_game_without_a_network_compares_what_asks_the_table(tmp_path):
    store, told = Store(tmp_path), []
    settings = CompareSettings("planted", ("default", "linear", "datamodels", "influence_cg"))
    found = compare(settings, silent, store, announce=told.append)
    assert set(told[0]) == {"default", "linear", "datamodels"}
    assert set(found.answers) == {"default", "linear", "datamodels"}
    assert "influence_cg" in found.refused
    assert "network" in found.refused["influence_cg"]
    best = found.scores[0]
    assert best.name == "default"  # the game has pairs
    linear = next(one for one in found.scores if one.name == "linear")
    assert linear.lds_gain.high < 0
    assert linear.cannot_say == "pairs"
    assert json.loads(json.dumps(found.to_json()))["methods"]["linear"]["lds"] == linear.lds
    assert "predicts 100 further subsets of the game, without noise best" in found.verdict


def test_finished_methods_are_found_again_with_their_time(tmp_path):
    settings = CompareSettings("planted", ("linear",))
    first = compare(settings, silent, Store(tmp_path))
    again = compare(settings, silent, Store(tmp_path))
    assert [one.seconds for one in first.scores] == [one.seconds for one in again.scores]
    np.testing.assert_array_equal(first.answers["linear"].predicted, again.answers["linear"].predicted)


def test_all_leaves_out_what_takes_too_long(tmp_path):
    at_hand = MethodsAtHand(CompareSettings("planted", ("all",), limit=5.0), Store(tmp_path))
    costs, _, left_out = at_hand.costs()
    assert "proxyspex" in left_out
    assert {"default", "linear", "datamodels"} <= set(costs)
    named = MethodsAtHand(CompareSettings("planted", ("all", "proxyspex"), limit=5.0), Store(tmp_path))
    assert "proxyspex" in {**named.costs()[0], **named.costs()[1]}


def test_settings_name_what_is_there():
    with pytest.raises(InputError, match="influence_cg"):
        CompareSettings("digits", ("influence",))
    with pytest.raises(InputError, match="table"):
        CompareSettings("a" * 40)
    assert CompareSettings("digits", ["linear"]).methods == ("default", "linear")


def test_all_methods_of_the_digits_can_be_made_and_say_their_cost(tmp_path):
    given = MethodsAtHand(CompareSettings("digits"), Store(tmp_path)).given
    names = possible_methods(given)
    assert names == list(METHODS)
    for name in names:
        if METHODS[name].needs == "outcomes":
            method = make_method(name, given)
            assert method.cost().seconds > 0
            assert method.name == name
    assert possible_methods(Given(given.outcomes)) == [n for n in names if METHODS[n].needs == "outcomes"]


def test_datamodels_find_an_additive_game(make_outcomes):
    rng = np.random.default_rng(1)
    table = make_outcomes(m=80, K=6, q=2)
    effects = np.zeros((6, 2))
    effects[[0, 3], [0, 1]] = 2.0, -3.0
    from dataclasses import replace

    table = replace(table, values=1.0 + table.masks @ effects + 0.01 * rng.normal(size=(80, 2)))
    method = Datamodels(table)
    np.testing.assert_allclose(method.attribute().values, effects, atol=0.05)
    masks = np.eye(6, dtype=bool)
    np.testing.assert_allclose(method.predict(masks), 1.0 + effects, atol=0.1)
    linear = LinearSurrogateCV().fit_outcomes(table).attribution("leave_one_out").values
    np.testing.assert_allclose(method.attribute().values, linear, atol=0.1)


def test_proxyspex_reads_pairs_off_its_series():
    from kernelsm.attributors.from_table import ProxySpex

    method = ProxySpex(load_example("planted"))
    # s1 xor s2, as a Fourier series of signs
    method._series = [(np.eye(10)[[0]] + np.eye(10)[[1]], np.array([-0.5]), 0.5)]
    masks = np.zeros((4, 10), dtype=bool)
    masks[1, 0] = masks[2, 1] = True
    masks[3, :2] = True
    np.testing.assert_allclose(method.predict(masks).ravel(), [0.0, 1.0, 1.0, 0.0])
    pairs = method.interactions().values[..., 0]
    assert pairs[0, 1] == pytest.approx(-2.0)
    assert np.abs(pairs).sum() == pytest.approx(4.0)
