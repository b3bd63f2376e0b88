"""Demonstrations: what experts see and do in each task, until the task is solved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.limits import limits
from kernelsm.files.npz import ArrayFormat, read_arrays
from kernelsm.policies.environment import Simulator
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.checks import check_number, check_whole
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.executors import Task
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import ChunkKind, Store

DEMONSTRATION_CHUNKS = ChunkKind("demonstrations", version=1)


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """What experts saw and did.

    Parameters
    ----------
    observations : ndarray of float32, shape (n, o)
    actions : ndarray of float32, shape (n, a)
        What the expert would do at each observation, from -1 to 1.
    task_of, episode_of : ndarray of int64, shape (n,)
        Task of each step, and its episode within the task.
    task_names, action_names : tuple of str

    Raises
    ------
    InputError
        Lengths differ, or a task without a step.
    """

    observations: NDArray[np.float32]
    actions: NDArray[np.float32]
    task_of: NDArray[np.int64]
    episode_of: NDArray[np.int64]
    task_names: tuple[str, ...]
    action_names: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.observations)
        for place in ("actions", "task_of", "episode_of"):
            if len(getattr(self, place)) != n:
                found = f"{len(getattr(self, place))} rows"
                raise InputError(place, found, f"{n}, as there are observations", "Give one for each step.")
        missing = np.flatnonzero(np.bincount(self.task_of, minlength=len(self.task_names)) == 0)
        if len(missing):
            name = self.task_names[missing[0]]
            raise InputError("task_of", f"no step of {name!r}", "at least one", "Record more episodes.")

    def __len__(self) -> int:
        return len(self.observations)

    def take(self, rows: NDArray[Any]) -> Demonstrations:
        """Return some of the steps."""
        return Demonstrations(
            self.observations[rows], self.actions[rows], self.task_of[rows], self.episode_of[rows], self.task_names,
            self.action_names,
        )  # fmt: skip

    def save(self, path: Path) -> Path:
        """Write as .npz; observations in half precision, which is finer than the simulated arm is steady."""
        with write_whole(path) as part, part.open("wb") as file:
            np.savez_compressed(
                file, observations=self.observations.astype(np.float16), actions=self.actions.astype(np.float16),
                task_of=self.task_of.astype(np.uint8), episode_of=self.episode_of.astype(np.uint16),
                task_names=np.array(self.task_names), action_names=np.array(self.action_names),
            )  # fmt: skip
        return path

    @classmethod
    def load(cls, path: Path) -> Demonstrations:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            Another file.
        """
        found = read_arrays(path, path.name, _LAYOUT, limits())
        return cls(
            found["observations"], found["actions"], found["task_of"], found["episode_of"],
            tuple(map(str, found["task_names"])), tuple(map(str, found["action_names"])),
        )  # fmt: skip


_LAYOUT = {
    "observations": ArrayFormat((2,), "f", np.float32),
    "actions": ArrayFormat((2,), "f", np.float32),
    "task_of": ArrayFormat((1,), "iu", np.int64),
    "episode_of": ArrayFormat((1,), "iu", np.int64),
    "task_names": ArrayFormat((1,), "U"),
    "action_names": ArrayFormat((1,), "U"),
}


def demonstrate(
    simulator: Simulator,
    *,
    episodes: int = 50,
    noise: float = 0.3,
    seed: int = 1,
    store: Store | None = None,
    report: Report = silent,
) -> Demonstrations:
    """Let the experts of all tasks solve them, each episode ended at its success.

    In every second episode the arm does what the expert wants plus noise, while the expert's own wish is recorded: so
    the recording shows how to come back from small mistakes, which a cloned policy will make (Laskey et al. 2017,
    DART).

    Parameters
    ----------
    simulator : Simulator
    episodes : int
        Of each task; those that fail within the horizon are left out.
    noise : float
        Largest standard deviation of the noise; that of each noisy episode is drawn up to it.
    seed : int
        1 or more.
    store, report
        Where finished tasks are kept, and what is called after each.

    Raises
    ------
    InputError
        A number out of its range, or a task that its expert never solved.
    """
    check_whole("episodes", episodes)
    check_number("noise", noise, least=0)
    check_whole("seed", seed)
    settings = {"episodes": episodes, "noise": noise, "seed": seed, "horizon": simulator.horizon}
    recorder = _Recorder(simulator, episodes, noise, seed)
    names = simulator.task_names
    work = ChunkedWork(lambda: Task(recorder.record), DEMONSTRATION_CHUNKS, "demonstrations")
    found = computed_chunks(work, [(simulator.name, name, settings) for name in names], names, store, report)
    for name, one in zip(names, found, strict=True):
        if not len(one["observations"]):
            raise InputError(f"expert of {name!r}", "no success", "one in some episodes", "Lengthen the horizon.")
    sizes = [len(one["observations"]) for one in found]
    return Demonstrations(
        np.concatenate([one["observations"] for one in found]), np.concatenate([one["actions"] for one in found]),
        np.repeat(np.arange(len(names)), sizes), np.concatenate([one["episodes"] for one in found]),
        names, simulator.action_names,
    )  # fmt: skip


@dataclass(frozen=True)
class _Recorder:
    simulator: Simulator
    episodes: int
    noise: float
    seed: int

    def record(self, task: str) -> dict[str, NDArray[Any]]:
        """All steps of the solved episodes of one task."""
        environment = self.simulator.environment(task, self.seed)
        rng = np.random.default_rng([self.seed, self.simulator.task_names.index(task)])
        seen: list[NDArray[Any]] = []
        done: list[NDArray[Any]] = []
        of: list[int] = []
        for episode in range(self.episodes):
            size = rng.uniform(0, self.noise) if episode % 2 else 0.0
            observation, steps = environment.reset(episode), []
            for _ in range(self.simulator.horizon):
                wish = environment.expert()
                steps.append((observation, wish))
                result = environment.step(np.clip(wish + size * rng.standard_normal(len(wish)), -1, 1))
                observation = result.observation
                if result.success:
                    seen += [before for before, _ in steps]
                    done += [action for _, action in steps]
                    of += [episode] * len(steps)
                    break
        width = len(self.simulator.action_names)
        return {
            "observations": np.array(seen, dtype=np.float32).reshape(len(of), len(environment.reset(0))),
            "actions": np.array(done, dtype=np.float32).reshape(len(of), width),
            "episodes": np.array(of, dtype=np.int64),
        }
