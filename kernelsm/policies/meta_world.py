"""Meta-World MT10: ten tasks of one robot arm, simulated by MuJoCo, with the scripted experts that come with it.

Yu et al. (2020), Meta-World. The paper's list has box-open for window-close; the package's MT10 has window-close.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.policies.environment import Simulator, Step, Vector
from kernelsm.runtime.checks import check_choice, check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.extras import needed_by

MT10_TASKS = (
    "reach", "push", "pick-place", "door-open", "drawer-open", "drawer-close", "button-press-topdown",
    "peg-insert-side", "window-open", "window-close",
)  # fmt: skip
ACTIONS = ("move x", "move y", "move z", "grip")
EPISODES = 50
"""How many beginnings a seed has."""
HORIZON = 200
"""Steps after which an episode has failed; the experts need 30 to 120, and the benchmark itself stops at 500."""
# of what the simulator gives: hand and objects as they are now, not those of the step before; and the goal
_SHOWN = np.r_[0:18, 36:39]
_CAMERA = "corner3"
_PLACED = ("body_pos", "body_quat", "geom_pos", "site_pos")


class MetaWorldTask:
    """One of the ten tasks; an `Environment`.

    Parameters
    ----------
    task : str
        One of `MT10_TASKS`.
    seed : int
        1 or more, of the 50 beginnings: where objects lie and where the goal is.

    Raises
    ------
    InputError
        Another task or seed.
    MissingExtraError
        Meta-World is not installed.
    """

    def __init__(self, task: str, seed: int) -> None:
        check_choice("task", task, MT10_TASKS)
        # without a seed, or with 0, some versions draw other beginnings each time
        check_whole("seed", seed, 1)
        name = f"{task}-v3"
        benchmark = _package().MT1(name, seed=seed)
        self._environment: Any = benchmark.train_classes[name]()
        self._beginnings = benchmark.train_tasks
        self._policy: Any = _package("metaworld.policies").ENV_POLICY_MAP[name]()
        self._observation: Vector = np.zeros(39)
        self._known: dict[int, _Beginning] = {}

    def reset(self, episode: int) -> Vector:
        """Begin an episode, 0 to 49."""
        check_whole("episode", episode, 0, EPISODES - 1)
        if episode not in self._known:
            self._environment.set_task(self._beginnings[episode])
            observation, _ = self._environment.reset()
            self._known[episode] = _Beginning.of(self._environment, observation)
        self._observation = self._known[episode].restore(self._environment)
        return self._shown()

    def step(self, action: Vector) -> Step:
        """Act; the episode goes on after a success, until the caller ends it."""
        clipped = np.clip(action, -1, 1).astype(np.float32)
        self._observation, reward, _, _, info = self._environment.step(clipped)
        return Step(self._shown(), float(reward), bool(info["success"] > 0))

    def expert(self) -> Vector:
        """What the scripted expert would do, within the bounds of actions."""
        with warnings.catch_warnings():
            # it says at every step that its wishes are larger than what is allowed
            warnings.simplefilter("ignore")
            # some experts write into what they are given
            action = self._policy.get_action(self._observation.copy())
        return np.clip(np.asarray(action, dtype=np.float64), -1, 1)

    def picture(self, width: int = 320, height: int = 240) -> NDArray[np.uint8]:
        """Draw the scene as it is now.

        Parameters
        ----------
        width, height : int
            Pixels.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3)

        Raises
        ------
        InputError
            There is no OpenGL to draw with.
        """
        mujoco = _package("mujoco")
        model, data = self._environment.model, self._environment.data
        try:
            renderer = mujoco.Renderer(model, height, width)
        except Exception as error:  # each of its backends has errors of its own, and some raise AttributeError
            raise _no_opengl(error) from error
        try:
            renderer.update_scene(data, camera=_CAMERA)
            drawn: NDArray[np.uint8] = renderer.render()
        finally:
            renderer.close()
        return drawn[::-1]  # the camera of the benchmark hangs upside down

    def _shown(self) -> Vector:
        return np.asarray(self._observation[_SHOWN], dtype=np.float64)


@dataclass(frozen=True)
class _Beginning:
    """The state of a simulator at the beginning of an episode.

    To reset it takes as long as a hundred steps, in which the arm is moved to its place; to put the state back takes
    no time. `tests/policies/test_meta_world.py` says that both lead to the same episode.
    """

    observation: Vector
    state: Vector
    placed: dict[str, NDArray[np.float64]]
    attributes: dict[str, Any]

    @classmethod
    def of(cls, environment: Any, observation: Vector) -> _Beginning:
        mujoco = _package("mujoco")
        kind = int(mujoco.mjtState.mjSTATE_INTEGRATION)
        state = np.empty(mujoco.mj_stateSize(environment.model, kind))
        mujoco.mj_getState(environment.model, environment.data, state, kind)
        # where things stand that do not move by themselves: a wall, a goal
        placed = {name: getattr(environment.model, name).copy() for name in _PLACED}
        attributes = {
            name: np.copy(value) if isinstance(value, np.ndarray) else value
            for name, value in vars(environment).items()
            if value is None
            or isinstance(value, (np.generic, bool, int, float))
            # what is called the pads' first place is a view of where they are now
            or (isinstance(value, np.ndarray) and not np.may_share_memory(value, environment.data.xpos))
        }
        return cls(observation.copy(), state, placed, attributes)

    def restore(self, environment: Any) -> Vector:
        """Put the state back and return the first observation."""
        mujoco = _package("mujoco")
        for name, value in self.placed.items():
            getattr(environment.model, name)[:] = value
        mujoco.mj_setState(environment.model, environment.data, self.state, int(mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_forward(environment.model, environment.data)
        # forward leaves a warm start of its own
        mujoco.mj_setState(environment.model, environment.data, self.state, int(mujoco.mjtState.mjSTATE_INTEGRATION))
        for name, value in self.attributes.items():
            setattr(environment, name, np.copy(value) if isinstance(value, np.ndarray) else value)
        return self.observation.copy()


def meta_world() -> Simulator:
    """Return MT10.

    Raises
    ------
    MissingExtraError
        Meta-World is not installed.
    """
    versions = f"metaworld {version(_package().__name__)}, mujoco {version('mujoco')}"
    return Simulator(versions, MetaWorldTask, MT10_TASKS, ACTIONS, HORIZON, 10.0)


def _package(name: str = "metaworld") -> Any:
    try:
        with needed_by("the robot's simulator"):
            return import_module(name)
    except AttributeError as error:  # MUJOCO_GL names a library that is not there
        raise _no_opengl(error) from error


def _no_opengl(error: Exception) -> InputError:
    fix = "Without a display, set MUJOCO_GL=egl or MUJOCO_GL=osmesa, whichever is installed, before Python starts."
    return InputError("OpenGL", str(error), "one that MuJoCo can draw with", fix)
