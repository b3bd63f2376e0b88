"""F(s) of policies: fine-tune on the demonstrations of a subset of tasks, and let the policy act in all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kernelsm.estimators.estimator import BlockWork, SuiteEstimator
from kernelsm.estimators.fine_tuning import FineTuning
from kernelsm.estimators.retraining import Retraining, in_precision
from kernelsm.objectives.objective import Measure
from kernelsm.policies.cloning import PolicyUnits
from kernelsm.policies.environment import Simulator
from kernelsm.policies.rollouts import task_return
from kernelsm.runtime.checks import check_whole
from kernelsm.runtime.chunked_work import ChunkedWork
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.executors import Task
from kernelsm.runtime.store import ChunkKind, Store

ROLLOUT_CHUNKS = ChunkKind("policy_rollouts", version=1)
RETURN = Measure("return", "reward a step", higher_is_better=True)
SUCCESS = Measure("success", "fraction of episodes", higher_is_better=True)


class PolicyReturns(SuiteEstimator):
    """Fine-tunes a policy on each subset of tasks and measures it in every task of its simulator.

    The measures of a target, which is a task: the `loss` on samples held out, as the trainer's suite states it; the
    `return`, the mean reward of a step by real rollouts; and `success`, the share of the episodes in which the task
    was solved. All subsets play the same beginnings, so that chance is the same for all.

    Parameters
    ----------
    trainer : Retraining or FineTuning
        Of a suite whose targets are the simulator's tasks.
    simulator : Simulator
    units : PolicyUnits
        How the policy sees and acts.
    episodes : int
        Of each task.
    seed : int
        Of their beginnings, 1 or more.

    Raises
    ------
    InputError
        Targets that are not the simulator's tasks, or a number out of its range.
    """

    block = 1

    def __init__(
        self,
        trainer: Retraining | FineTuning,
        simulator: Simulator,
        units: PolicyUnits,
        *,
        episodes: int = 10,
        seed: int = 1001,
    ) -> None:
        self.suite, self.objective, self.task_weights = trainer.suite, trainer.objective, trainer.task_weights
        if self.suite.target_names != simulator.task_names:
            found, expected = ", ".join(self.suite.target_names), ", ".join(simulator.task_names)
            raise InputError("targets", found[:120], expected[:120], "Make a target of each task.")
        self.episodes, self.seed = check_whole("episodes", episodes), check_whole("seed", seed)
        self.trainer, self.simulator, self.units = trainer, simulator, units

    @property
    def measures(self) -> Sequence[Measure]:
        """The loss that is trained on, the return, and the success."""
        return self.objective.measures[0], RETURN, SUCCESS

    def _work(self, store: Store | None) -> BlockWork:
        work = self.trainer._work(store)
        played = {
            "simulator": self.simulator.name, "horizon": self.simulator.horizon, "episodes": self.episodes,
            "rollout_seed": self.seed,
        }  # fmt: skip
        return BlockWork(
            ChunkedWork(lambda: Task(self._measured, memory=2**29), ROLLOUT_CHUNKS, "rollouts"),
            key=(*work.key, played, *self.units.key),
            meta={**work.meta, **played},
        )

    def _measured(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """All measures of one subset, a block of masks, shape (1, 3, q)."""
        (mask,) = masks
        return self.measured(self.trainer.fine_tune(mask))[None]

    def measured(self, model: nn.Module) -> NDArray[np.float64]:
        """Return the measures of one policy, shape (3, q)."""
        played = [
            task_return(self.simulator, model, self.units, task, episodes=self.episodes, seed=self.seed)
            for task in range(len(self.suite.target_names))
        ]
        returns, successes = [one.mean_reward for one in played], [one.success for one in played]
        return np.array([self.losses(model), returns, successes])

    def losses(self, model: nn.Module) -> NDArray[np.float64]:
        """Return the loss of one policy on each target's held-out samples, shape (q,)."""
        suite = self.suite
        with torch.no_grad():
            outputs = model(in_precision(suite.test_inputs, next(model.parameters()).dtype))[None].double()
            found = self.objective.measure_model(
                outputs, torch.from_numpy(suite.test_labels), torch.from_numpy(suite.target_of),
                len(suite.target_names),
            )  # fmt: skip
        return np.asarray(found[0, 0].numpy())
