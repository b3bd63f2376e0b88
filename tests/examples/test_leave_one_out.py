"""Leave-one-out by retraining, shipped beside the truth."""

import numpy as np
import pytest

from kernelsm import InputError, Outcomes, leave_one_out_effects, load_example, load_leave_one_out, load_truth
from kernelsm.evaluation.leave_one_out import effect_correlations
from kernelsm.examples.catalog import EXAMPLES
from kernelsm.pipelines.compute import base_model, retraining
from kernelsm.pipelines.leave_one_out import rebuild_leave_one_out
from kernelsm.pipelines.run_settings import example_settings
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store
from kernelsm.workspace.projects import find_recipe

SHIPPED = [name for name in EXAMPLES if EXAMPLES[name].networks]


@pytest.mark.parametrize("name", SHIPPED)
def test_all_tasks_come_first_and_then_all_but_each_one_of_the_network_of_the_truth(name):
    found, truth = load_leave_one_out(name), load_truth(name)
    K = truth.K
    assert np.array_equal(found.masks, np.vstack([np.ones((1, K), dtype=bool), ~np.eye(K, dtype=bool)]))
    assert found.task_names == truth.task_names
    assert found.target_names == truth.target_names
    assert found.meta["weights"] == truth.meta["weights"]
    assert found.meta["estimator"] == "retraining"
    assert found.meta["ridge"] == truth.meta["ridge"]


@pytest.mark.parametrize("name", SHIPPED)
def test_other_networks_are_others_and_their_effects_are_like_these(name):
    first = leave_one_out_effects(load_leave_one_out(name)).values
    for network in range(1, EXAMPLES[name].networks):
        other = load_leave_one_out(name, network)
        assert other.meta["weights"] != load_leave_one_out(name).meta["weights"]
        assert np.nanmean(effect_correlations(first, leave_one_out_effects(other).values)) > 0.5


def test_a_row_comes_out_as_shipped(tmp_path):
    shipped = load_leave_one_out("digits")
    trainer = retraining(example_settings("digits"), find_recipe("digits"), base_model("digits", Store(tmp_path)))
    found = trainer.outcomes(shipped.masks[[3]])
    np.testing.assert_allclose(found.values[0], shipped.values[3], rtol=1e-3)


def test_the_effects_of_digits_are_those_of_the_spoilt_tasks():
    effects = leave_one_out_effects(load_leave_one_out("digits"))
    assert effects.measured.all()
    overall = effects.values.mean(axis=1)
    spoilt = [k for k, name in enumerate(effects.task_names) if "labelled" in name]
    assert set(np.argsort(-overall)[:3]) == set(spoilt)


def test_effects_are_differences_of_the_rows_whatever_their_order():
    masks = np.array([[0, 1], [1, 1], [1, 0], [1, 1]], dtype=bool)
    outcomes = Outcomes(masks, [3.0, 1.0, 5.0, 2.0])
    np.testing.assert_allclose(leave_one_out_effects(outcomes).values, [[1.5 - 3.0], [1.5 - 5.0]])


def test_a_table_without_the_rows_is_refused_with_what_is_missing():
    with pytest.raises(InputError, match="all tasks together"):
        leave_one_out_effects(load_example("digits"))
    with pytest.raises(InputError, match="all tasks but 'task 2'"):
        leave_one_out_effects(Outcomes([[1, 1], [0, 1]], [1.0, 2.0]))


def test_correlations_are_those_of_numpy_and_0_where_nothing_is_found():
    rng = np.random.default_rng(0)
    true, found = rng.normal(size=(8, 2)), rng.normal(size=(8, 2))
    expected = [np.corrcoef(true[:, j], found[:, j])[0, 1] for j in range(2)]
    np.testing.assert_allclose(effect_correlations(true, found), expected)
    assert effect_correlations(true, np.zeros((8, 2))).tolist() == [0.0, 0.0]
    assert np.isnan(effect_correlations(np.ones((8, 2)), found)).all()


@pytest.mark.parametrize(("name", "network"), [("planted", 0), ("digits", 99), ("digits", -1), ("coin-flip", 0)])
def test_what_is_not_shipped_is_refused(name, network):
    with pytest.raises(InputError):
        load_leave_one_out(name, network)


def test_a_game_without_a_model_has_no_retrainings(tmp_path):
    with pytest.raises(InputError, match="one with a model"):
        rebuild_leave_one_out("planted", silent, Store(tmp_path), tmp_path)
