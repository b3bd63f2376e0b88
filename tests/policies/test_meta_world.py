"""Meta-World itself; skipped, saying so, where it is not installed."""

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("metaworld", reason="Meta-World is not installed: pip install 'kernelsm[control]'")

from kernelsm import InputError
from kernelsm.policies.demonstrations import demonstrate
from kernelsm.policies.environment import Simulator
from kernelsm.policies.meta_world import HORIZON, MT10_TASKS, MetaWorldTask, meta_world
from kernelsm.policies.rollouts import play


def experts_rewards(task, episode):
    return play(task, lambda _: task.expert(), episode, HORIZON).rewards


# one that is grasped, one on rails, one with a hinge, one whose target is placed in the model itself
@pytest.mark.parametrize("name", ["pick-place", "drawer-open", "door-open", "peg-insert-side"])
def test_a_beginning_that_is_put_back_leads_to_the_same_episode_as_a_reset(name):
    task = MetaWorldTask(name, 7)
    first, second = task.reset(0), task.reset(1)
    assert np.abs(first - second).max() > 1e-3
    fresh = MetaWorldTask(name, 7)
    by_reset = []
    for episode in (0, 1):
        fresh._known.clear()
        fresh._environment.set_task(fresh._beginnings[episode])
        observation, _ = fresh._environment.reset()
        fresh._observation, rewards = observation, []
        for _ in range(30):
            rewards.append(fresh.step(fresh.expert()).reward)
        by_reset.append(rewards)
    for episode in (1, 0, 1):  # in another order, after episodes that left the arm elsewhere
        found = experts_rewards(task, episode)[:30]
        np.testing.assert_allclose(found, by_reset[episode][: len(found)], rtol=1e-6)


def test_the_expert_solves_a_task_and_the_episode_can_end_there():
    task = MetaWorldTask("drawer-close", 1)
    played = play(task, lambda _: task.expert(), 0, HORIZON)
    assert played.success
    assert len(played.rewards) < HORIZON
    assert task.reset(0).shape == (21,)


def test_demonstrations_of_one_task_show_the_goal_and_bounded_actions():
    whole = meta_world()
    reach = Simulator(whole.name, whole.make, ("reach",), whole.action_names, whole.horizon, whole.best_reward)
    found = demonstrate(reach, episodes=2)
    assert np.abs(found.actions).max() <= 1
    goals = found.observations[:, -3:]
    assert len(np.unique(goals.round(4), axis=0)) == 2
    assert np.abs(goals).max() > 0  # of MT10 the goal is to be seen


def test_wrong_arguments_are_refused():
    for task, seed in (("walk", 1), ("reach", 0)):
        with pytest.raises(InputError):
            MetaWorldTask(task, seed)
    assert len(MT10_TASKS) == 10


_DRAW = """
from kernelsm import InputError
from kernelsm.policies.meta_world import MetaWorldTask
try:
    task = MetaWorldTask("drawer-open", 1)
    task.reset(0)
    drawn = task.picture(64, 48)
    print(drawn.shape, drawn.dtype, int(drawn.std()) > 20)
except InputError as error:
    print(error)
"""


def test_a_scene_is_drawn_or_the_way_to_draw_it_is_named():
    environment = {**os.environ, "MUJOCO_GL": "osmesa"}
    said = subprocess.run([sys.executable, "-c", _DRAW], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "(48, 64, 3) uint8 True" or "MUJOCO_GL=egl" in said.stdout
