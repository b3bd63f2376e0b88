"""Corrections: a cloned policy acts, and the expert says at each step what it would have done there.

What a policy that is not perfect runs into is seldom seen in demonstrations: with corrections it is trained on the
states that it really comes to (Ross et al. 2011, DAgger).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kernelsm.models.hashing import model_hash
from kernelsm.policies.cloning import PolicyUnits
from kernelsm.policies.demonstrations import Demonstrations
from kernelsm.policies.environment import Simulator
from kernelsm.policies.rollouts import acting
from kernelsm.runtime.checks import check_whole
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.executors import Task
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store

CORRECTION_CHUNKS = ChunkKind("corrections", version=1)
# every other step of an episode tells nearly as much as all
_EVERY = 2


def with_corrections(
    demonstrations: Demonstrations,
    simulator: Simulator,
    model: nn.Module,
    units: PolicyUnits,
    *,
    episodes: int = 20,
    seed: int = 1,
    store: Store | None = None,
    report: Report = silent,
) -> Demonstrations:
    """Return demonstrations with the steps added at which a policy was corrected.

    Parameters
    ----------
    demonstrations : Demonstrations
    simulator : Simulator
    model : torch.nn.Module
        The policy that acts, until it succeeds or time is up.
    units : PolicyUnits
    episodes : int
        Of each task. Each fifth is held out like those of demonstrations.
    seed : int
        Of their beginnings.
    store, report
        Where finished tasks are kept, and what is called after each.
    """
    check_whole("episodes", episodes)
    corrector = _Corrector(simulator, model, units, episodes, seed)
    settings = {"episodes": episodes, "seed": seed, "horizon": simulator.horizon, "every": _EVERY}
    names = simulator.task_names
    keys = [(simulator.name, name, settings, model_hash(model), *units.key) for name in names]
    work = ChunkedWork(lambda: Task(corrector.correct), CORRECTION_CHUNKS, "corrections")
    found = computed_chunks(work, keys, range(len(names)), store, report)
    # numbers of episodes go on behind those that are there, and the fifths with them
    first = 5 * (int(demonstrations.episode_of.max()) // 5 + 1)
    sizes = [len(one["observations"]) for one in found]
    return Demonstrations(
        np.concatenate([demonstrations.observations, *(one["observations"] for one in found)]),
        np.concatenate([demonstrations.actions, *(one["actions"] for one in found)]),
        np.concatenate([demonstrations.task_of, np.repeat(np.arange(len(names)), sizes)]),
        np.concatenate([demonstrations.episode_of, *(first + one["episodes"] for one in found)]),
        demonstrations.task_names, demonstrations.action_names,
    )  # fmt: skip


@dataclass(frozen=True)
class _Corrector:
    simulator: Simulator
    model: nn.Module
    units: PolicyUnits
    episodes: int
    seed: int

    def correct(self, task: int) -> dict[str, NDArray[Any]]:
        """What the expert would have done at the steps of the policy's episodes in one task."""
        environment = self.simulator.environment(self.simulator.task_names[task], self.seed)
        act = acting(self.model, self.units, task)
        seen: list[NDArray[Any]] = []
        wished: list[NDArray[Any]] = []
        of: list[int] = []
        for episode in range(self.episodes):
            observation = environment.reset(episode)
            for step in range(self.simulator.horizon):
                if step % _EVERY == 0:
                    seen.append(observation)
                    wished.append(environment.expert())
                    of.append(episode)
                result = environment.step(act(observation))
                if result.success:
                    break
                observation = result.observation
        return {
            "observations": np.array(seen, dtype=np.float32), "actions": np.array(wished, dtype=np.float32),
            "episodes": np.array(of, dtype=np.int64),
        }  # fmt: skip
