"""What contenders answer on a problem, kept on disk: a run that was stopped goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from comparison.contenders import contender, fingerprint, targets_of
from comparison.planted_games import effects_at_all_tasks
from comparison.shapley_values import shapley_of_all_outcomes
from kernelsm.surrogates.base import Surrogate

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Answer = dict[str, NDArray[Any]]

REVISION = 1
"""Raised where more is asked than before."""


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
    estimates : ndarray, optional
        What the estimator that made the fitted values says of the held-out subsets, shape (n, q).
    pairs : pair of ndarray, optional
        First and second tasks whose second differences at all tasks are asked, with all leave-one-out effects; the
        truth of both follows.
    effects, second_differences : ndarray, optional
        Shapes (K,) and (P,).
    shapley : tuple of ndarray, optional
        True Shapley values (K,) and interactions (K, K), which are asked where given; `asked` is then all subsets.
    """

    name: str
    masks: NDArray[np.bool_]
    values: Array
    asked: NDArray[np.bool_]
    truth: Array
    estimates: Array | None = None
    pairs: tuple[Indices, Indices] | None = None
    effects: Array | None = None
    second_differences: Array | None = None
    shapley: tuple[Array, Array] | None = None

    def content(self) -> str:
        """Hash of what is fitted and asked."""
        digest = sha256()
        for table in (self.masks, self.values, self.asked, *(self.pairs or ())):
            digest.update(np.ascontiguousarray(table).tobytes())
        return digest.hexdigest()


def answer(problem: Problem, name: str) -> Answer:
    """Fit a contender and ask it, on one thread.

    Returns
    -------
    dict
        `predicted` for the targets `columns`, `on_own_scale` of surrogates that have such a part, `fit_seconds`, and
        what the problem asks beside (`effects`, `second_differences`, `shapley`, `shapley_interactions`): readouts of
        a surrogate of kernelsm, differences of the predictions of anything else.
    """
    g = contender(name)
    columns = targets_of(name, problem.values.shape[1])
    asked = problem.asked.astype(np.float64)
    with threadpool_limits(1):
        begun = time.perf_counter()
        g.fit(problem.masks.astype(np.float64), problem.values[:, columns])
        found: Answer = {"fit_seconds": np.array(time.perf_counter() - begun)}
        found["predicted"] = g.predict(asked)
        if hasattr(g, "on_own_scale"):
            found["on_own_scale"] = g.on_own_scale().predict(asked)
        if problem.pairs is not None:
            first, second = problem.pairs
            if isinstance(g, Surrogate):
                found["effects"] = g.attribution("leave_one_out").values[:, 0]
                found["second_differences"] = g.interactions("second_difference").values[first, second, 0]
            else:
                found["effects"], found["second_differences"] = effects_at_all_tasks(
                    lambda masks: g.predict(masks.astype(np.float64))[:, 0], problem.masks.shape[1], first, second
                )
        if problem.shapley is not None:
            if isinstance(g, Surrogate):
                found["shapley"] = g.attribution("shapley").values[:, 0]
                found["shapley_interactions"] = g.interactions("shapley").values[:, :, 0]
            else:
                found["shapley"], found["shapley_interactions"] = shapley_of_all_outcomes(found["predicted"][:, 0])
    return {**found, "columns": columns}


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
        path = self.place(problem.name, name, problem.content()).with_suffix(".npz")
        if path.exists():
            with np.load(path, allow_pickle=False) as kept:
                return {part: kept[part] for part in kept.files}
        begun = time.perf_counter()
        found = answer(problem, name)
        half = path.with_suffix(".part.npz")
        arrays: dict[str, Any] = dict(found)
        np.savez_compressed(half, **arrays)
        half.replace(path)
        self.say(f"{problem.name} {name} {time.perf_counter() - begun:.1f} s")
        return found

    def place(self, folder: str, name: str, content: str) -> Path:
        """Where what a contender says of some content stands, without an ending; the folder is made."""
        if name not in self._fingerprints:
            self._fingerprints[name] = fingerprint(name)
        key = sha256(f"{REVISION} {self._fingerprints[name]} {content}".encode()).hexdigest()[:16]
        path = self.folder / folder / f"{name.split('(')[0].replace(':', '-').replace('.', '-')}-{key}"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path
