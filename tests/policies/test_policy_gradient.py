"""Actions that a policy took with noise become samples, and learning from them makes it better."""

import numpy as np
import pytest
import torch
from point_world import HORIZON, point_world

from kernelsm import InputError, Retraining
from kernelsm.objectives.policy import LogRatio
from kernelsm.policies.cloning import PolicyUnits, cloned_policy, cloning_suite
from kernelsm.policies.demonstrations import demonstrate
from kernelsm.policies.policy_gradient import advantages, policy_gradient_suite
from kernelsm.policies.rollouts import task_return


@pytest.fixture(scope="module")
def weak():
    """A policy that was hardly trained, and its inputs."""
    torch.set_num_threads(1)
    recorded = demonstrate(point_world(), episodes=10)
    units = PolicyUnits.fitted(recorded)
    return cloned_policy(cloning_suite(recorded, units), epochs=(2,)), units


@pytest.fixture(scope="module")
def suite(weak):
    return policy_gradient_suite(point_world(), *weak, train=200, test=40, episodes=30)


def test_samples_are_actions_about_the_mean_with_their_density(weak, suite):
    model, _ = weak
    with torch.no_grad():
        means = model(torch.from_numpy(suite.inputs))
    labels = torch.from_numpy(suite.labels)
    assert LogRatio().offsets(means, labels).abs().max() < 1e-3
    noise = (labels[:, :2] - means).numpy()
    assert noise.std() == pytest.approx(0.3, rel=0.1)
    assert abs(noise.mean()) < 0.05
    assert (suite.objective, suite.K) == ("policy gradient", 3)
    assert np.bincount(suite.task_of).tolist() == [200] * 3


def test_advantages_are_what_followed_beyond_what_place_and_time_let_expect():
    rng = np.random.default_rng(0)
    rewards = [rng.random(HORIZON) for _ in range(20)]
    observations = rng.normal(size=(20 * HORIZON, 3))
    found = advantages(observations, rewards, [0.0] * 20)
    assert found.mean() == pytest.approx(0, abs=1e-9)
    assert found.std() == pytest.approx(1)
    # an episode that ended solved is worth more than one that ended lost
    short = [np.full(5, 0.5), np.full(5, 0.5)]
    solved, lost = advantages(np.zeros((10, 1)), short, [1.0, 0.0]).reshape(2, 5)
    assert solved.min() > lost.max()


def test_learning_from_them_makes_the_policy_better_in_the_simulator(weak, suite):
    model, units = weak
    tuned = Retraining(suite, model, ridge=0.3, precision="single", relative_tolerance=0.01).fine_tune(
        np.ones(3, dtype=bool)
    )
    before, after = (
        np.mean([task_return(point_world(), one, units, task).mean_reward for task in range(3)])
        for one in (model, tuned)
    )
    assert after > before


def test_too_few_steps_are_refused(weak):
    with pytest.raises(InputError, match="Play more episodes"):
        policy_gradient_suite(point_world(), *weak, train=10_000, episodes=5)
