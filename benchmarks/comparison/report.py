"""What the cells of a result say together: where a rival is ahead, and how well effects are read."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

CLIP = -1.0
NEGLIGIBLE = 0.001
SCORES = ("lds", "r2")
EFFECTS = {"r2_effects": "leave-one-out", "r2_second_differences": "second differences"}
Cell = dict[str, Any]


def best_rival(cell: Cell, score: str) -> tuple[str, list[float]]:
    """The rival of the largest gain over the surrogate: its name, and the gain with its interval."""
    name = max(cell["gains"], key=lambda rival: float(cell["gains"][rival][score][0]))
    return name, cell["gains"][name][score]


def holds(cell: Cell, score: str) -> bool:
    """Whether the surrogate is best, or within the paired interval of the best."""
    return bool(best_rival(cell, score)[1][1] <= 0)


def clearly_ahead(cell: Cell, score: str) -> dict[str, list[float]]:
    """Rivals that are ahead by more than their paired interval."""
    return {name: gain[score] for name, gain in cell["gains"].items() if gain[score][1] > 0}


def summary(cells: list[Cell], surrogate: str) -> dict[str, Any]:
    """Shares of cells in which the surrogate is best or within the paired interval of the best; mean R² of effects.

    `held` counts cells by score; `held_or_negligible` also those in which the best is less than `NEGLIGIBLE` ahead.
    R² of effects is clipped below at `CLIP` before the mean is taken, as one wild extrapolation would decide on it
    else; the median needs no clipping. Cells whose true effects are all alike (interactions of additive games) have
    none.
    """
    result: dict[str, Any] = {"cells": len(cells)}
    for score in SCORES:
        result[f"held_{score}"] = _share([holds(cell, score) for cell in cells])
        result[f"held_or_negligible_{score}"] = _share(
            [holds(cell, score) or best_rival(cell, score)[1][0] < NEGLIGIBLE for cell in cells]
        )
    result["held_both"] = _share([all(holds(cell, score) for score in SCORES) for cell in cells])
    for effect in EFFECTS:
        for name in [surrogate, *sorted({rival for cell in cells for rival in cell["gains"]})]:
            found = [cell["scores"][name][effect] for cell in cells if effect in cell["scores"].get(name, {})]
            if found:
                result.setdefault(effect, {})[name] = {
                    "mean": round(float(np.maximum(found, CLIP).mean()), 4),
                    "median": round(float(np.median(found)), 4),
                    "cells": len(found),
                }
    return result


def _share(found: list[bool]) -> float:
    return round(float(np.mean(found)), 4) if found else float("nan")


def by_parts_of_name(cells: list[Cell], surrogate: str) -> dict[str, Any]:
    """The summary of all planted games, and of those that share K, m, p, noise or family."""
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        for part in cell["cell"].split("/")[1:]:
            groups[part].append(cell)
    return {"all": summary(cells, surrogate)} | {name: summary(groups[name], surrogate) for name in sorted(groups)}


def print_cells(cells: list[Cell], surrogate: str) -> None:
    """Print scores of the surrogate with those of the best rival, and who is clearly ahead."""
    heads = {"lds": "LDS", "r2": "R²", "r2_of_estimates": "R² of estimates"}
    shown = [score for score in heads if any(score in cell["scores"][surrogate] for cell in cells)]
    print(f"\n{'cell':44}{'error':>6}" + "".join(f"{heads[score]:>16}{'best rival':>23}" for score in shown))
    for cell in cells:
        own = cell["scores"][surrogate]
        line = f"{cell['cell']:44}{own['relative_error']:6.3f}"
        for score in shown:
            if score in own:
                name, gain = best_rival(cell, score)
                partly = "~" if "targets" in cell["scores"][name] else ""
                line += f"{own[score]:9.3f}{name + partly:>22}{gain[0]:+7.3f}{'*' if gain[1] > 0 else ' '}"
        print(line)
    print(
        "Behind a best rival stands how far it is ahead: * by more than its paired 90 % interval, ~ on few targets."
    )


def print_summary(found: dict[str, Any], surrogate: str) -> None:
    """Print the shares and the mean R² of effects, with the best mean of a rival that answered all these cells."""
    print(f"\n{'cells':14}{'':>5}{'held LDS':>10}{'held R²':>9}{'both':>7}   R² at all tasks, mean / median")
    for name, one in found.items():
        effects = []
        for effect, words in EFFECTS.items():
            if surrogate in one.get(effect, {}):
                own = one[effect][surrogate]
                everywhere = {
                    rival: value["mean"]
                    for rival, value in one[effect].items()
                    if rival != surrogate and value["cells"] == own["cells"]
                }
                best = max(everywhere, key=lambda rival: everywhere[rival], default=None)
                rival = "" if best is None else f" ({best} {everywhere[best]:.3f})"
                effects.append(f"{words} {own['mean']:.3f} / {own['median']:.3f}{rival}")
        print(
            f"{name:14}{one['cells']:5}{one['held_lds']:10.3f}{one['held_r2']:9.3f}{one['held_both']:7.3f}   "
            + ", ".join(effects)
        )
