"""A policy is corrected where it goes, and is the better for it."""

import numpy as np
import pytest
import torch
from point_world import GOALS, point_world

from kernelsm.policies.cloning import PolicyUnits, cloned_policy, cloning_suite, held_out
from kernelsm.policies.corrections import with_corrections
from kernelsm.policies.demonstrations import demonstrate
from kernelsm.policies.rollouts import task_return
from kernelsm.runtime.store import Store


@pytest.fixture(scope="module")
def corrected():
    """Few demonstrations, a poor policy of them, and both with its corrections."""
    torch.set_num_threads(1)
    few = demonstrate(point_world(), episodes=10)
    units = PolicyUnits.fitted(few)
    poor = cloned_policy(cloning_suite(few, units), epochs=(2,))
    return few, units, poor, with_corrections(few, point_world(), poor, units, episodes=10, seed=2)


def test_the_expert_says_what_it_would_do_where_the_policy_is(corrected):
    few, _, _, more = corrected
    np.testing.assert_array_equal(more.observations[: len(few)], few.observations)
    added = more.take(np.arange(len(more)) >= len(few))
    assert set(added.task_of) == {0, 1, 2}
    goals = np.array([GOALS[name] for name in added.task_names])[added.task_of]
    np.testing.assert_allclose(added.actions, np.clip(5 * (goals - added.observations), -1, 1), atol=1e-5)


def test_each_fifth_of_its_episodes_is_held_out_too_and_numbers_are_new(corrected):
    few, _, _, more = corrected
    added = more.take(np.arange(len(more)) >= len(few))
    assert not set(added.episode_of) & set(few.episode_of)
    first = added.episode_of.min()
    assert set(added.episode_of[held_out(added)] - first) == {4, 9}


def test_a_policy_trained_with_corrections_earns_more_and_finished_tasks_are_kept(corrected, tmp_path):
    few, units, poor, more = corrected
    better = cloned_policy(cloning_suite(more, units), epochs=(20,))
    before, after = (
        np.mean([task_return(point_world(), one, units, task).mean_reward for task in range(3)])
        for one in (poor, better)
    )
    assert after > before
    store = Store(tmp_path)
    for _ in range(2):
        with_corrections(few, point_world(), poor, units, episodes=2, store=store)
    assert (store.computed, store.reused) == (3, 3)
