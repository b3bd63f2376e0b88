"""Outcomes of policies by fine-tuning and rollouts, and task grouping, in a simulator that needs no library."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from point_world import GOALS, point_world

from kernelsm import InputError, Outcomes, Retraining, Store
from kernelsm.estimators.fine_tuning import FineTuning
from kernelsm.policies.cloning import PolicyUnits, cloned_policy, cloning_suite
from kernelsm.policies.demonstrations import demonstrate
from kernelsm.policies.grouping import WAYS, groups
from kernelsm.policies.record import GroupResult, HeldOut, PolicyRecord
from kernelsm.policies.returns import PolicyReturns
from kernelsm.policies.rollouts import task_return

MASKS = np.array([[1, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=bool)


@pytest.fixture(scope="module")
def rolled():
    torch.set_num_threads(1)
    recorded = demonstrate(point_world(), episodes=10)
    units = PolicyUnits.fitted(recorded)
    suite = cloning_suite(recorded, units)
    model = cloned_policy(suite, epochs=(5,))
    trainer = FineTuning(suite, model, ridge=0.01, epochs=10, learning_rate=1e-2)
    return PolicyReturns(trainer, point_world(), units, episodes=5)


def test_all_measures_of_a_subset_are_kept_together_with_their_signs(rolled, tmp_path):
    store = Store(tmp_path)
    found = {one.name: rolled.outcomes(MASKS, measure=one.name, store=store) for one in rolled.measures}
    assert (store.computed, store.reused) == (3, 6)
    assert {name: table.higher_is_better for name, table in found.items()} == {
        "loss": False, "return": True, "success": True,
    }  # fmt: skip
    assert found["return"].meta["unit"] == "reward a step"
    assert found["success"].meta["simulator"] == "point 1"
    assert set(np.unique(found["success"].values)) <= {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}
    # without samples the policy stays at W0
    base = rolled.measured(rolled.trainer.model)
    for position, table in enumerate(found.values()):
        np.testing.assert_allclose(table.values[2], base[position], rtol=1e-5)
    # trained on one task alone, it does better there than W0, and worse elsewhere than with all
    assert found["loss"].values[1, 2] < base[0, 2]
    assert found["loss"].values[1, 0] > found["loss"].values[0, 0]


def test_returns_are_those_of_rollouts_of_the_fine_tuned_policy(rolled):
    found = rolled.outcomes(MASKS[:1], measure="return").values[0]
    model = rolled.trainer.fine_tune(MASKS[0])
    expected = [task_return(point_world(), model, rolled.units, task, episodes=5).mean_reward for task in range(3)]
    np.testing.assert_allclose(found, expected)


def test_the_loss_is_that_of_the_trainer_itself(rolled):
    np.testing.assert_allclose(
        rolled.outcomes(MASKS[:2]).values, rolled.trainer.outcomes(MASKS[:2]).values, rtol=1e-5
    )


def test_targets_that_are_not_the_simulators_tasks_are_refused(rolled):
    other = replace(rolled.suite, target_names=("a", "b", "c"))
    with pytest.raises(InputError, match="Make a target of each task"):
        PolicyReturns(Retraining(other, rolled.trainer.model, ridge=1.0), point_world(), rolled.units)


def game(values, seed=0):
    """Outcomes of 40 subsets of six tasks by a function of the mask, with targets named after the first two tasks."""
    masks = np.random.default_rng(seed).random((40, 6)) < 0.5
    names = [f"task {k}" for k in range(6)]
    return Outcomes(
        masks, np.array([values(mask.astype(float)) for mask in masks]), task_names=names, target_names=names[:2]
    )


def test_each_way_chooses_what_it_is_said_to():
    # task 3 helps alone, 1 a little; 4 and 5 help only together, and then more than anything
    def values(s):
        return [1 - 0.3 * s[3] - 0.1 * s[1] - 1.0 * s[4] * s[5] + 0.6 * (s[4] + s[5]), 0.0 * s[0]]

    found = groups(game(values), "task 0", [9, 0.1, 0.9, 0.2, 0.3, 0.8], helpers=2, draws=3)
    assert tuple(found) == WAYS
    assert found["attribution"] == [(0, 1, 3)]
    assert found["linear"] == [(0, 1, 3)]
    assert found["cosine"] == [(0, 2, 5)]
    assert len(found["random"]) == 3
    assert all(0 in group and len(group) == 3 for group in found["random"])
    helpful_pair = groups(
        game(lambda s: [1 - 0.3 * s[3] - 1.0 * s[4] * s[5] + 0.3 * (s[4] + s[5]), 0.0]), "task 0", range(6), helpers=2
    )
    assert helpful_pair["pairwise-aware"] == [(0, 4, 5)]


def test_of_a_score_the_highest_is_chosen():
    table = game(lambda s: [s[3] + 0.5 * s[1] - s[2], 0.0])
    score = Outcomes(
        table.masks, table.values, task_names=table.task_names, target_names=table.target_names, higher_is_better=True
    )
    for way in ("attribution", "pairwise-aware", "linear"):
        assert groups(score, "task 0", range(6), helpers=2)[way] == [(0, 1, 3)]
    with pytest.raises(InputError, match="the name of a task and a target"):
        groups(score, "task 5", range(6))


def test_a_record_is_read_as_it_was_written_and_says_what_each_way_reached(tmp_path):
    results = [
        GroupResult(target, way, list(GOALS), seed, value + seed, 0.5, 0.1)
        for target, extra in (("left", 0.0), ("right", 1.0), ("up", 2.0))
        for way, value in (("linear", extra), ("random", extra), ("random", extra + 3))
        for seed in (0, 1)
    ]
    record = PolicyRecord(
        list(GOALS), [1.0] * 3, [1.0] * 3, 5, [0.01], {"loss": {"sevens": 0.9}},
        [HeldOut("linear", "return", 50, 10, [0.1, 0.3])], results, {"lds": 0.5},
    )  # fmt: skip
    found = PolicyRecord.from_json(json.loads(record.save(tmp_path / "policies.json").read_text()))
    assert found == record
    assert found.by_way()["linear"]["mean_return"] == [1.0, 2.0]
    assert found.by_way()["random"]["mean_return"] == [2.5, 3.5]
    assert found.held_out[0].mean == pytest.approx(0.2)
