"""What contenders answer on a problem, kept on disk: a run that was stopped goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comparison.contenders import contender, fingerprint
from comparison.planted_games import effects_at_all_tasks
from kernelsm.surrogates.base import Surrogate

Array = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Problem:
    """A table to fit and what is asked of the fit.

    Parameters
    ----------
    name : str
        Part and sizes, parted by slashes: the place of its answers.
    masks, values : ndarray, shapes (m, K) and (m, q)
        Fitted.
    asked, truth : ndarray, shapes (n, K) and (n, q)
        Held-out subsets and their true outcomes.
    pairs : pair of ndarray, optional
        First and second tasks whose second differences at all tasks are asked, with all leave-one-out effects.
    effects, second_differences : ndarray, optional
        Their truth, shapes (K,) and (P,).
    """

    name: str
    masks: NDArray[np.bool_]
    values: Array
    asked: NDArray[np.bool_]
    truth: Array
    pairs: tuple[Indices, Indices] | None = None
    effects: Array | None = None
    second_differences: Array | None = None
    facts: dict[str, object] = field(default_factory=dict)

    def content(self) -> str:
        """Hash of what is fitted and asked."""
        digest = sha256()
        for table in (self.masks, self.values, self.asked, *(self.pairs or ())):
            digest.update(np.ascontiguousarray(table).tobytes())
        return digest.hexdigest()


Answer = dict[str, Array]


def answer(problem: Problem, name: str) -> Answer:
    """Fit a contender and ask it: predictions, those on the outcome's own scale where it has them, and effects."""
    begun = time.perf_counter()
    g = contender(name)
    g.fit(problem.masks.astype(np.float64), problem.values)
    fitted = time.perf_counter()
    found: Answer = {"predicted": g.predict(problem.asked.astype(np.float64))}
    found["fit_seconds"] = np.array(fitted - begun)
    found["predict_seconds"] = np.array(time.perf_counter() - fitted)
    if hasattr(g, "on_own_scale"):
        found["on_own_scale"] = g.on_own_scale().predict(problem.asked.astype(np.float64))
    if problem.pairs is not None:
        first, second = problem.pairs
        if isinstance(g, Surrogate):
            found["effects"] = g.attribution("leave_one_out").values[:, 0]
            found["second_differences"] = g.interactions("second_difference").values[first, second, 0]
        else:
            K = problem.masks.shape[1]
            found["effects"], found["second_differences"] = effects_at_all_tasks(
                lambda masks: g.predict(masks.astype(np.float64))[:, 0], K, first, second
            )
    return found


class KeptAnswers:
    """Answers in a folder, found by problem, contender, and the content of both.

    Parameters
    ----------
    folder : Path
    say : callable
        Told of each answer that had to be computed.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda text: None) -> None:
        self.folder = folder
        self.say = say
        self._fingerprints: dict[str, str] = {}

    def __call__(self, problem: Problem, name: str) -> Answer:
        """Return the kept answer, or compute and keep it."""
        if name not in self._fingerprints:
            self._fingerprints[name] = fingerprint(name)
        key = sha256((self._fingerprints[name] + problem.content()).encode()).hexdigest()[:16]
        path = self.folder / problem.name / f"{name.split('(')[0].replace(':', '.')}-{key}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as kept:
                return {part: kept[part] for part in kept.files}
        begun = time.perf_counter()
        found = answer(problem, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part.npz")
        arrays: dict[str, Any] = dict(found)
        np.savez_compressed(half, **arrays)
        half.replace(path)
        self.say(f"{problem.name} {name} {time.perf_counter() - begun:.1f} s")
        return found
