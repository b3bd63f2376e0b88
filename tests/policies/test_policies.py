"""Demonstrations, cloning and rollouts in a simulator that needs no library."""

import numpy as np
import pytest
import torch
from point_world import GOALS, HORIZON, Point, point_world

from kernelsm import InputError
from kernelsm.models.mlp import mlp
from kernelsm.objectives.registry import find
from kernelsm.policies.cloning import PolicyUnits, cloned_policy, cloning_suite, held_out, some_steps
from kernelsm.policies.demonstrations import Demonstrations, demonstrate
from kernelsm.policies.rollouts import Episode, acting, play, task_return
from kernelsm.runtime.store import Store


@pytest.fixture(scope="module")
def recorded():
    return demonstrate(point_world(), episodes=20, noise=0.3, seed=1)


@pytest.fixture(scope="module")
def policy(recorded):
    """A cloned policy, its inputs and its suite."""
    torch.set_num_threads(1)
    units = PolicyUnits.fitted(recorded)
    suite = cloning_suite(recorded, units)
    return cloned_policy(suite, epochs=(60, 20)), units, suite


def test_every_demonstration_ends_at_its_success_and_shows_what_the_expert_would_do(recorded):
    for task, name in enumerate(GOALS):
        own = recorded.task_of == task
        for episode in np.unique(recorded.episode_of[own]):
            rows = own & (recorded.episode_of == episode)
            seen, done = recorded.observations[rows], recorded.actions[rows]
            np.testing.assert_allclose(seen[0], Point(name, 1).reset(episode), atol=1e-6)
            wishes = np.clip(5 * (np.array(GOALS[name]) - seen), -1, 1)
            np.testing.assert_allclose(done, wishes, atol=1e-5)
            # all but the last step left it outside of the goal
            assert (np.linalg.norm(seen[1:] - GOALS[name], axis=1) > 0.1).all()


def test_every_second_episode_is_noisy(recorded):
    own = recorded.task_of == 0
    for episode in (0, 1):
        rows = own & (recorded.episode_of == episode)
        seen, done = recorded.observations[rows].astype(float), recorded.actions[rows]
        followed = np.abs(seen[:-1] + 0.1 * done[:-1] - seen[1:]).max() < 1e-5
        assert followed == (episode == 0)


def test_demonstrations_are_the_same_each_time_and_kept_by_task(recorded, tmp_path):
    store = Store(tmp_path)
    again = demonstrate(point_world(), episodes=20, noise=0.3, seed=1, store=store)
    np.testing.assert_array_equal(again.observations, recorded.observations)
    demonstrate(point_world(), episodes=20, noise=0.3, seed=1, store=store)
    assert (store.computed, store.reused) == (3, 3)


def test_a_file_of_demonstrations_holds_them_to_half_precision(recorded, tmp_path):
    found = Demonstrations.load(recorded.save(tmp_path / "steps.npz"))
    np.testing.assert_allclose(found.observations, recorded.observations, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(found.episode_of, recorded.episode_of)
    assert (found.task_names, found.action_names) == (recorded.task_names, recorded.action_names)
    assert found.observations.dtype == np.float32


def test_an_expert_that_never_succeeds_is_named():
    def lost(task, seed):
        point = Point(task, seed)
        point.expert = lambda: np.zeros(2)
        return point

    world = point_world()
    with pytest.raises(InputError, match="expert of 'left'"):
        demonstrate(type(world)("lost", lost, world.task_names, world.action_names, HORIZON, 1.0), episodes=2)


def test_inputs_are_standardised_with_each_task_counting_the_same_and_say_which_task_it_is(recorded):
    units = PolicyUnits.fitted(recorded)
    kept = recorded.take(~held_out(recorded))
    seen = units.inputs(kept.observations, kept.task_of)
    assert seen.shape == (len(kept), units.width) == (len(kept), 5)
    means = np.array([seen[kept.task_of == task].mean(axis=0) for task in range(3)])
    np.testing.assert_allclose(means[:, :2].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_array_equal(means[:, 2:], np.eye(3))


def test_whole_episodes_are_held_out_and_the_labels_are_actions(recorded, policy):
    _, units, suite = policy
    few = some_steps(recorded, 30, 10)
    assert np.bincount(few.task_of[~held_out(few)]).tolist() == [30] * 3
    assert np.bincount(few.task_of[held_out(few)]).tolist() == [10] * 3
    assert set(few.episode_of[held_out(few)]) <= set(range(4, 20, 5))
    assert (suite.objective, suite.task_names, suite.target_names) == ("regression", tuple(GOALS), tuple(GOALS))
    labels = units.outputs(recorded.actions[held_out(recorded)])
    np.testing.assert_array_equal(suite.test_labels, labels)
    np.testing.assert_allclose(units.actions(labels), recorded.actions[held_out(recorded)], atol=1e-6)
    outputs = torch.zeros(1, len(suite.test_labels), 2)
    found = find(suite).measure_model(outputs, torch.tensor(suite.test_labels), torch.tensor(suite.target_of), 3)
    expected = [np.square(suite.test_labels[suite.target_of == j]).sum(axis=1).mean() for j in range(3)]
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-5)
    with pytest.raises(InputError, match="Record more episodes"):
        some_steps(recorded, 10_000, 1)


def test_the_cloned_policy_solves_beginnings_that_it_has_not_seen_and_an_untrained_one_does_not(policy):
    model, units, _ = policy
    for task in range(3):
        found = task_return(point_world(), model, units, task, episodes=10, seed=1001)
        assert found.success >= 0.8
        lost = task_return(point_world(), mlp((5, 4, 2), seed=0), units, task, episodes=10, seed=1001)
        assert lost.success < found.success
        assert lost.mean_reward < found.mean_reward


def test_an_episode_ends_at_success_and_the_steps_after_it_count_as_solved():
    world = point_world()
    point = world.environment("left", 3)
    played = play(point, lambda _: point.expert(), 0, HORIZON)
    assert played.success
    assert len(played.rewards) < HORIZON
    assert played.rewards[-1] == 1.0
    whole = np.concatenate([played.rewards, np.ones(HORIZON - len(played.rewards))])
    assert played.mean_reward(HORIZON, 1.0) == pytest.approx(whole.mean())
    # of two episodes that succeed, the quicker one is worth more
    slow, quick = Episode(np.full(30, 0.5), True), Episode(np.full(10, 0.5), True)
    assert quick.mean_reward(HORIZON, 1.0) > slow.mean_reward(HORIZON, 1.0)
    still = play(point, lambda _: np.zeros(2), 0, HORIZON)
    assert (still.success, len(still.rewards)) == (False, HORIZON)


def test_a_policy_acts_by_the_mean_of_its_actions(policy):
    model, units, _ = policy
    here = np.array([0.3, -0.2])
    with torch.no_grad():
        given = model(torch.from_numpy(units.inputs(here[None], 2)))[0].numpy()
    expected = units.action_centre + units.action_scale * given
    np.testing.assert_allclose(acting(model, units, 2)(here), expected, atol=1e-6)
