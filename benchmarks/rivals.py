"""The default surrogate against what experts would pick instead, on the same tables in one run.

Rivals, each in its best documented setting: ridge and RBF regression tuned by leave-one-out, the authors' setting, a
Gaussian process with automatic relevance, gradient boosting by scikit-learn (as it comes, and with leaves of 5 rows)
and by LightGBM (tuned by cross-validation), Lasso on all pairs, and ProxySPEX. Scores are those on held-out truth; a
gain is a rival's minus the surrogate's, with its paired 90 % interval. Where the fitted outcomes are estimates,
scores on estimates of the held-out subsets stand beside ("of_estimates"): on modular arithmetic GradEx is off by more
than the spread of the truth, so that R² of any surrogate is far below 0 there and rewards shrinking. Parts:

- tables: the finished examples at 100, 200 and 400 subsets, three draws each
- coin_flip: the outcomes published with the paper, 20 splits, where they are
- modular: ten tables made like the published ones of modular addition
- games: planted games of eight families; leave-one-out effects and second differences at all tasks, too
- shapley: Shapley values and interactions of games of 10 tasks
- intervals: what 90 % intervals hold of the truth (`interval_coverage.py`); `--unseen` adds the family that nobody
  looks at while surrogates are designed
- speed: the surrogate's fit

Rivals that fit one target after the other answer 25 of a table's targets, evenly spread; Gaussian process, LightGBM
and Lasso 10. Gains are those on what a rival answered. ProxySPEX takes a minute and a half for one target: it answers
the first target of the first draw of each table, games of K = 20 and m = 300 with 10 % noise, and one Shapley game of
100 subsets a family. Lasso on all pairs is left out above 25,000 columns. ProxySHAP itself needs Python 3.12;
"light_gbm" in part shapley is its tree proxy, without the correction that asks for subsets of its own.

Start with `--quick`, which takes a minute and prints a table. Answers are kept in `benchmarks/kept_answers/`: a run
that was stopped goes on where it was, and only a surrogate whose code changed is asked anew. Parts and cells that a
result file has of the same surrogate stay in it.

.venv/bin/pip install -e '.[benchmarks]'
.venv/bin/python benchmarks/rivals.py --quick
.venv/bin/python benchmarks/rivals.py --parts tables games --K 20 50 --noise 0.1
.venv/bin/python benchmarks/rivals.py --surrogate "kernelsm.surrogates.auto:AutoSurrogate(sharing='targets')"
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import interval_coverage
from comparison.answers import KeptAnswers
from comparison.cells import cell, rivals_of
from comparison.contenders import RIVALS, fingerprint
from comparison.planted_games import GAMES
from comparison.problems import (
    GRID_K,
    GRID_M,
    GRID_NOISE,
    GRID_P,
    Group,
    coin_flips,
    finished_tables,
    game_grid,
    modular_tables,
    shapley_games,
)
from comparison.quick import quick
from comparison.report import by_parts_of_name, print_cells, print_summary
from comparison.speed import speed
from machine import RESULTS, machine

KEPT = Path(__file__).parent / "kept_answers"
LONG = ("cells", "summary_of_games", "intervals", "speed")
PARTS = ("tables", "coin_flip", "modular", "games", "shapley", "intervals", "speed")


def groups(chosen: argparse.Namespace) -> Iterator[Group]:
    """All groups of the chosen parts."""
    sources = {
        "tables": finished_tables(),
        "coin_flip": coin_flips(chosen.coin_flip),
        "modular": modular_tables(),
        "games": game_grid(
            games=chosen.games, K=chosen.K, m=chosen.m, p=chosen.p, noise=chosen.noise, seeds=chosen.seeds
        ),
        "shapley": shapley_games(),
    }
    return chain.from_iterable(source for part, source in sources.items() if part in chosen.parts)


def intervals(chosen: argparse.Namespace, answers: KeptAnswers) -> dict[str, Any]:
    """Coverage by family and number of subsets, kept like answers."""
    result: dict[str, Any] = {"games": chosen.interval_games}
    for family in interval_coverage.FAMILIES:
        if family == interval_coverage.UNSEEN and not chosen.unseen:
            continue
        for m in interval_coverage.SUBSETS:
            content = f"{interval_coverage.REVISION} {family} {m} {chosen.interval_games}"
            path = answers.place("intervals", chosen.surrogate, content).with_suffix(".json")
            if not path.exists():
                found = interval_coverage.coverage(chosen.surrogate, family, m, chosen.interval_games)
                path.write_text(json.dumps(found))
            found = json.loads(path.read_text())
            result.setdefault(family, {})[f"m{m}"] = found
            print(
                f"90 % intervals, {family}, m = {m}: leave-one-out {found['leave_one_out']:.3f}, second differences"
                f" {found['second_difference']:.3f}",
                flush=True,
            )
    return result


def started(path: Path, surrogate: str) -> dict[str, Any]:
    """What a result file has of the same surrogate; nothing of another."""
    code = fingerprint(surrogate)[:16]
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        if found.get("code") == code and found.get("surrogate") == surrogate:
            return found
        print(f"{path.name} is of another surrogate, or another state of its code, and is written anew")
    return {"surrogate": surrogate, "code": code, "cells": []}


def write(path: Path, result: dict[str, Any]) -> None:
    """Write a result, one cell or group of cells a line."""
    lines = [
        f' "{key}": {_long(value) if key in LONG else json.dumps(value)}'
        for key, value in (result | {"machine": machine()}).items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _long(value: dict[str, Any] | list[Any]) -> str:
    """JSON with one entry a line."""
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f'  "{key}": {_short(one)}' for key, one in value.items()) + "\n }"
    return "[\n" + ",\n".join(f"  {_short(one)}" for one in value) + "\n ]"


def _short(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def compare(chosen: argparse.Namespace, answers: KeptAnswers) -> None:
    """Run the chosen parts, and write and print the result."""
    path = RESULTS / f"{chosen.name}.json"
    result = started(path, chosen.surrogate)
    result["packages"] = {name: version(name) for name in sorted({rival.package for rival in RIVALS.values()})}
    cells = {one["cell"]: one for one in result["cells"]}
    for group in groups(chosen):
        rivals = [name for name in rivals_of(group, chosen.surrogate) if not chosen.rivals or name in chosen.rivals]
        cells[group.name] = cell(group, chosen.surrogate, rivals, answers)
        result["cells"] = list(cells.values())
        write(path, result)
    if games := [one for one in result["cells"] if one["cell"].startswith("games/")]:
        result["summary_of_games"] = by_parts_of_name(games, chosen.surrogate)
    if "intervals" in chosen.parts:
        result["intervals"] = intervals(chosen, answers)
    if "speed" in chosen.parts:
        result["speed"] = speed(chosen.surrogate)
    write(path, result)
    show(result, chosen.parts)


def show(result: dict[str, Any], parts: list[str]) -> None:
    """Print some parts of a result."""
    surrogate = result["surrogate"]
    for part in parts:
        if cells := [one for one in result["cells"] if one["cell"].split("/")[0] == part]:
            print_cells(cells, surrogate)
    if "games" in parts and "summary_of_games" in result:
        print_summary(result["summary_of_games"], surrogate)
    for part in ("intervals", "speed"):
        if part in parts and part in result:
            print(f"\n{part}:", *(f"  {name}: {_short(found)}" for name, found in result[part].items()), sep="\n")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few cells, one table, nothing written to results/")
    parser.add_argument("--show", action="store_true", help="print what the result file has, and run nothing")
    parser.add_argument("--surrogate", default="default", help="a name, or module:Class(argument=literal, ...)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rivals", nargs="+", help="only these")
    parser.add_argument("--games", nargs="+", choices=list(GAMES), default=list(GAMES))
    parser.add_argument("--K", nargs="+", type=int, default=GRID_K, help="of games")
    parser.add_argument("--m", nargs="+", type=int, default=GRID_M, help="of games")
    parser.add_argument("--p", nargs="+", type=float, default=GRID_P, help="of games")
    parser.add_argument("--noise", nargs="+", type=float, default=GRID_NOISE, help="of games")
    parser.add_argument("--seeds", type=int, default=1, help="games of each cell")
    parser.add_argument("--interval-games", type=int, default=interval_coverage.GAMES)
    parser.add_argument("--unseen", action="store_true", help="the family held out, too: at the end")
    parser.add_argument("--coin-flip", type=Path, default=Path("../shared/data/coin_flip"))
    parser.add_argument("--name", default="rivals", help="of the result file")
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of finished answers")
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore", module="sklearn")  # bounds reached, iterations at their limit
    answers = KeptAnswers(chosen.kept, lambda text: print(text, flush=True))
    if chosen.quick:
        quick(chosen.surrogate, answers)
    elif chosen.show:
        show(json.loads((RESULTS / f"{chosen.name}.json").read_text()), chosen.parts)
    else:
        compare(chosen, answers)


if __name__ == "__main__":
    main()
