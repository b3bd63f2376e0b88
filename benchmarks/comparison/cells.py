"""One cell of the result: all contenders on the problems of a group, with paired intervals against the surrogate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from comparison.answers import Answer, KeptAnswers, Problem
from comparison.contenders import RIVALS, SURROGATES
from comparison.problems import Group
from comparison.scores import COMPARED, SCORES, paired_gain, r_squared_of_effects

Array = NDArray[np.float64]
Judged = tuple[Problem, Answer]
EFFECTS = ("effects", "second_differences")
FITTING_SURROGATES = ("tuned_linear", "tuned_rbf", "authors")


def rivals_of(group: Group, surrogate: str) -> list[str]:
    """Everyone that a surrogate is compared with on a group."""
    names = [*FITTING_SURROGATES, *(["authors_modular"] if group.part == "modular" else []), *RIVALS]
    return [name for name in (["default"] if surrogate != "default" else []) + names if name != surrogate]


def cell(group: Group, surrogate: str, rivals: list[str], answers: KeptAnswers) -> dict[str, Any]:
    """Scores of a surrogate and its rivals, and gains of each rival over it.

    Returns
    -------
    dict
        `fits`; `scores` by contender and score, means over fits; `gains` by rival and score (rival minus surrogate:
        mean, low, high). A rival that answered part of the fits or targets is compared on that part, which is named.
    """
    own: list[Judged] = []
    judged: dict[str, list[tuple[int, Judged]]] = {name: [] for name in rivals}
    for turn, problem in enumerate(group.problems()):
        own.append((problem, answers(problem, surrogate)))
        for name in rivals:
            if name in SURROGATES or name not in RIVALS or RIVALS[name].takes(problem.name, problem.masks.shape[1]):
                judged[name].append((turn, (problem, answers(problem, name))))
    scores = {surrogate: _scores(own)}
    gains: dict[str, dict[str, list[float]]] = {}
    for name, taken in judged.items():
        if not taken:
            continue
        scores[name] = _scores([found for _, found in taken])
        columns = [found["columns"] for _, (_, found) in taken]
        if len(taken) < len(own) or len(columns[0]) < own[0][0].values.shape[1]:
            scores[name] |= {"fits": len(taken), "targets": len(columns[0])}
        theirs = [found["predicted"] for _, (_, found) in taken]
        ours = [own[turn][1]["predicted"][:, those] for (turn, _), those in zip(taken, columns, strict=True)]
        gains[name] = {}
        for against, tables in _truths([problem for _, (problem, _) in taken]).items():
            truths = [table[:, those] for table, those in zip(tables, columns, strict=True)]
            for score in COMPARED:
                gain = paired_gain(truths, theirs, ours, score, group.interval)
                gains[name][score + against] = [round(end, 5) for end in gain]
    return {"cell": group.name, "fits": len(own), "scores": scores, "gains": gains}


def _truths(problems: list[Problem]) -> dict[str, list[Array]]:
    """What predictions are judged by, with what is added to the names of scores."""
    estimates = [problem.estimates for problem in problems if problem.estimates is not None]
    return {"": [problem.truth for problem in problems]} | ({"_of_estimates": estimates} if estimates else {})


def _scores(judged: list[Judged]) -> dict[str, float]:
    """Means over fits of all scores."""
    found: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        found.setdefault(name, []).append(float(value))

    for problem, answer in judged:
        columns = answer["columns"]
        truth = problem.truth[:, columns]
        for name, score in SCORES.items():
            add(name, score(truth, answer["predicted"]))
        if "on_own_scale" in answer:
            for name in ("lds", "r2"):
                add(f"{name}_own_scale", SCORES[name](truth, answer["on_own_scale"]))
        if problem.estimates is not None:
            for name in ("lds", "r2"):
                add(f"{name}_of_estimates", SCORES[name](problem.estimates[:, columns], answer["predicted"]))
        for name in EFFECTS:
            if (effects := getattr(problem, name)) is not None:
                add(f"r2_{name}", r_squared_of_effects(effects, answer[name]))
        if problem.shapley is not None:
            upper = np.triu_indices(len(problem.shapley[0]), k=1)
            add("r2_shapley", r_squared_of_effects(problem.shapley[0], answer["shapley"]))
            pairs = problem.shapley[1][upper], answer["shapley_interactions"][upper]
            add("r2_shapley_interactions", r_squared_of_effects(*pairs))
        add("fit_seconds", float(answer["fit_seconds"]))
    return {
        name: round(float(np.mean(kept)), 4)
        for name, values in found.items()
        if (kept := [value for value in values if np.isfinite(value)])
    }
