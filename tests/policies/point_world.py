"""A simulator that needs no library: a point in a plane that is to be moved to the goal of its task."""

import numpy as np

from kernelsm.policies.environment import Simulator, Step

GOALS = {"left": (-0.8, 0.0), "right": (0.8, 0.0), "up": (0.0, 0.8)}
HORIZON = 40


class Point:
    """Observes where it is; is paid 1 less the distance, and 1 where it has arrived."""

    def __init__(self, task, seed):
        self.goal, self.seed = np.array(GOALS[task]), seed
        self.place = np.zeros(2)

    def reset(self, episode):
        self.place = np.random.default_rng([self.seed, episode]).uniform(-1, 1, 2)
        return self.place.copy()

    def step(self, action):
        self.place = self.place + 0.1 * np.clip(action, -1, 1)
        distance = float(np.linalg.norm(self.place - self.goal))
        return Step(self.place.copy(), max(0.0, 1 - distance) if distance > 0.1 else 1.0, distance <= 0.1)

    def expert(self):
        return np.clip(5 * (self.goal - self.place), -1, 1)


def point_world():
    """Three tasks."""
    return Simulator("point 1", Point, tuple(GOALS), ("east", "north"), HORIZON, 1.0)
