"""A few cells in a few minutes, for whoever improves the surrogate: one compact table, nothing written to results."""

from __future__ import annotations

import time

import numpy as np
from interval_coverage import coverage
from numpy.typing import NDArray

from comparison.answers import Answer, KeptAnswers, Problem
from comparison.problems import GameCell, finished
from comparison.scores import SCORES, paired_gain, r_squared_of_effects
from kernelsm.runtime.near_ties import varies

TABLES = (("digits", 400), ("digits", 100), ("sentiment", 200))
GAME_CELLS = (
    GameCell("additive", 20, 100, 0.5, 0.3),
    GameCell("sparse_pairs", 20, 100, 0.5, 0.1),
    GameCell("sparse_pairs", 20, 300, 0.9, 0.1),
    GameCell("third_order", 20, 300, 0.5, 0.1),
    GameCell("degree_4", 20, 300, 0.5, 0.1),
    GameCell("exp", 20, 100, 0.9, 0.1),
    GameCell("threshold", 20, 300, 0.5, 0.0),
    GameCell("max_min", 20, 300, 0.9, 0.1),
    GameCell("coverage", 20, 300, 0.5, 0.1),
    GameCell("sparse_pairs", 50, 300, 0.5, 0.1),
    GameCell("degree_4", 50, 300, 0.9, 0.1),
    GameCell("exp", 50, 300, 0.5, 0.3),
    GameCell("threshold", 50, 300, 0.9, 0.1),
    GameCell("coverage", 50, 100, 0.9, 0.0),
)
RIVALS = ("hist_boosting_leaf_5", "light_gbm", "lasso_pairs", "tuned_rbf", "tuned_linear")
FAMILIES, GAMES, SUBSETS = ("products", "few_tasks"), 40, 100
CLIP = -1.0
Array = NDArray[np.float64]


def quick(surrogate: str, answers: KeptAnswers) -> None:
    """Print scores of the surrogate beside those of the best rival, cell by cell."""
    begun = time.perf_counter()
    problems = [(f"{name} m={m}", next(finished(name, m))) for name, m in TABLES]
    problems += [(cell.name.removeprefix("games/"), next(cell.problems())) for cell in GAME_CELLS]
    rivals = {problem.name: {rival: answers(problem, rival) for rival in RIVALS} for _, problem in problems}
    own_answers = {problem.name: answers(problem, surrogate) for _, problem in problems}
    print(f"{surrogate} on held-out truth (best rival); effects at all tasks: R², not below {CLIP:g}")
    heads = ("LDS", "R²", "error", "leave-one-out", "2nd differences")
    print(f"{'':36}" + "".join(f"{head:>17}" for head in heads) + f"{'own LDS':>9}{'fit s':>7}")
    ahead: list[str] = []
    effects: dict[str, list[float]] = {}
    for title, problem in problems:
        found = own_answers[problem.name]
        others = rivals[problem.name]
        shown = []
        for score in ("lds", "r2", "relative_error"):
            scores = [SCORES[score](problem.truth, one["predicted"]) for one in (found, *others.values())]
            best = min(scores[1:]) if score == "relative_error" else max(scores[1:])
            shown.append(f"{scores[0]:.3f} ({best:.3f})")
        for part, truth in (("leave-one-out", problem.effects), ("2nd differences", problem.second_differences)):
            if truth is None or not varies(truth):
                shown.append("")
                continue
            key = "effects" if part == "leave-one-out" else "second_differences"
            scores = [_clipped(truth, one[key]) for one in (found, *others.values())]
            shown.append(f"{scores[0]:.3f} ({max(scores[1:]):.3f})")
            effects.setdefault(f"{part}, {title.split('/')[3]}", []).append(scores[0])
        own = SCORES["lds"](problem.truth, found.get("on_own_scale", found["predicted"]))
        print(
            f"{title:36}" + "".join(f"{text:>17}" for text in shown) + f"{own:9.3f}{float(found['fit_seconds']):7.2f}"
        )
        ahead += _ahead(title, problem, found, others)
    print("\nR² of effects at all tasks, over the games:")
    for part, values in sorted(effects.items()):
        print(f"  {part}: mean {np.mean(values):.3f}, median {np.median(values):.3f}")
    print(f"\nA rival is clearly ahead (paired 90 % interval) in {len(ahead)} of {2 * len(problems)}:")
    print(*ahead, sep="\n")
    print(f"\nWhat 90 % intervals hold of the truth, {GAMES} games of K = 10 and m = {SUBSETS}:")
    for family in FAMILIES:
        share = coverage(surrogate, family, SUBSETS, GAMES)
        print(f"  {family:10}", *(_share(share, key) for key in ("leave_one_out", "second_difference")))
    print(f"{time.perf_counter() - begun:.0f} s")


def _clipped(truth: Array, predicted: Array) -> float:
    return max(r_squared_of_effects(truth, predicted), CLIP)


def _share(share: dict[str, float], key: str) -> str:
    return (
        f"{key} {share[key]:.3f} ± {share[f'{key}_standard_error']:.3f}"
        f" (half width {share[f'{key}_half_width']:.3f}, error {share[f'{key}_error']:.3f})"
    )


def _ahead(title: str, problem: Problem, found: Answer, rivals: dict[str, Answer]) -> list[str]:
    """Where the best rival is ahead by more than its paired interval."""
    lines = []
    for score in ("lds", "r2"):
        best = max(rivals, key=lambda rival: SCORES[score](problem.truth, rivals[rival]["predicted"]))
        gain = paired_gain([problem.truth], [rivals[best]["predicted"]], [found["predicted"]], score, "draws")
        if gain.low > 0:
            lines.append(f"  {title} {score}: {best} by {gain.mean:.3f} ({gain.low:.3f} to {gain.high:.3f})")
    return lines
