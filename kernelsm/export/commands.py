"""The command line of results: `fit`, `report`, `notebook` and `tables` of any table of outcomes, and two `views`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelsm.evaluation.two_views import compare_views
from kernelsm.evaluation.views import View
from kernelsm.examples.catalog import EXAMPLES, built_in, load_example, load_truth
from kernelsm.export.arguments import ENDINGS
from kernelsm.export.as_code import command_line
from kernelsm.export.findings import KERNEL_NAMES, fidelity_rows, fidelity_sentence, headlines
from kernelsm.export.notebook import notebook_zip
from kernelsm.export.result import Result, Settings, result_of, versions
from kernelsm.export.tables import effects_table, pairs_table, tables_zip
from kernelsm.export.two_views import two_views_json, two_views_lines
from kernelsm.outcomes.table import Outcomes
from kernelsm.prompts.orders import with_noise
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.checks import check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.reading import MEAN_TARGET
from kernelsm.workspace.tables import load_run_orders

if TYPE_CHECKING:
    from kernelsm.export.report_comparison import Beside


def fit(options: argparse.Namespace) -> None:
    """Print what Fit and Explore show of a table."""
    if options.top < 1:
        raise InputError("--top", str(options.top), "1 or more", "Write for example 5.")
    result = _result(options)
    if options.json:
        print(json.dumps(fit_json(result), allow_nan=False))
        return
    o, settings = result.outcomes, result.settings
    tasks, targets = (
        f"{count:,} {word}{'s' if count > 1 else ''}" for count, word in ((o.K, "task"), (o.q, "target"))
    )
    part = "" if settings.used is None else "the first "
    print(f"{result.title}: {part}{o.m:,} subsets, {tasks}, {targets}; {result.unit}; target: {result.target}")
    kernel, gamma, ridge = settings.surrogate()
    numbers = "" if kernel == "auto" else f", ridge {ridge:g}"
    numbers += f", gamma {gamma if gamma is not None else 1 / o.K:.4g}" if kernel in ("rbf", "poly") else ""
    print(f"Surrogate: {KERNEL_NAMES[kernel]}{numbers}; readout: {settings.readout}")
    if result.fidelity is not None and result.fidelity.choice:
        print(result.fidelity.choice)
    print(*headlines(result), sep="\n")
    print(fidelity_sentence(result))
    for name, value in fidelity_rows(result):
        print(f"  {name}: {value}")
    readout = result.readout
    print("Strongest effects, 90 % intervals:")
    for k in readout.attribution.strongest(options.top):
        print(f"  {readout.attribution.sentence(int(k))}")
    if o.K > 1:
        print("Strongest pairs, those told from zero first:")
        first, second = readout.ranked_pairs
        for j, k in zip(first[: options.top], second[: options.top], strict=True):
            print(f"  {readout.interactions.sentence(int(j), int(k), clear=readout.clear)}")


def fit_json(result: Result) -> dict[str, Any]:
    """Return what `fit` prints as JSON types; what is not known is null."""
    fidelity, settings = result.fidelity, result.settings
    kernel, gamma, ridge = settings.surrogate()
    pairs = pairs_table(result, all_pairs=False) if result.outcomes.K > 1 else None
    scores = {} if fidelity is None else {
        "tested_on": fidelity.tested_on, "tested": fidelity.tested, "fitted": fidelity.fitted,
        "coverage": fidelity.coverage,
        **{
            name: {
                "this": gain.first, "linear": gain.second, "gain": gain.gain, "low": gain.low, "high": gain.high
            }
            for name, gain in (("lds", fidelity.lds), ("relative_error", fidelity.relative_error))
        },
    }  # fmt: skip
    found: dict[str, Any] = _known(
        {
            "title": result.title,
            "table": result.outcomes.content_hash,
            "subsets": result.outcomes.m,
            "tasks": result.outcomes.K,
            "targets": result.outcomes.q,
            "target": result.target,
            "unit": result.unit,
            "higher_is_better": result.higher_is_better,
            "settings": {
                "kernel": kernel, "gamma": gamma, "ridge": None if kernel == "auto" else ridge,
                "readout": settings.readout,
            },
            "chosen": "" if fidelity is None else fidelity.choice,
            "fidelity": scores or None,
            "headlines": headlines(result),
            "effects": effects_table(result).to_dict("records"),
            "pairs": [] if pairs is None else pairs.to_dict("records"),
            "versions": versions(),
            "command": command_line(result.outcomes, settings, result.table),
        }
    )  # fmt: skip
    return found


def _known(value: Any) -> Any:
    """The same with None for numbers that are not known."""
    if isinstance(value, dict):
        return {name: _known(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_known(part) for part in value]
    if isinstance(value, np.generic):
        return _known(value.item())
    return None if isinstance(value, float) and not np.isfinite(value) else value


def report(options: argparse.Namespace) -> None:
    """Write the HTML report."""
    from kernelsm.export.report import html_report  # imported here: the others need neither Plotly nor Jinja2

    def content(result: Result) -> bytes:
        beside = [_beside(options)] if _names_a_second_view(options) else []
        return html_report(result, written=date.today().isoformat(), beside=beside).encode()

    _write(options, content)


def notebook(options: argparse.Namespace) -> None:
    """Write the notebook with its data."""
    _write(options, notebook_zip)


def tables(options: argparse.Namespace) -> None:
    """Write all tables."""
    _write(options, tables_zip)


def _write(options: argparse.Namespace, content: Callable[[Result], bytes]) -> None:
    ending = ENDINGS[options.command]
    if options.out.suffix != ending:
        raise InputError("--out", repr(options.out.name), f"a name ending in {ending}", "Rename it.")
    link = getattr(options, "link", "")
    if link and not link.startswith(("https://", "http://")):
        raise InputError(
            "--link", repr(link)[:80], "an address that begins with https:// or http://", "Copy it anew."
        )
    options.out.parent.mkdir(parents=True, exist_ok=True)  # fails now rather than after the work
    data = content(_result(options))
    with write_whole(options.out) as part:
        part.write_bytes(data)
    print(f"{options.out} ({len(data) / 2**20:.1f} MiB)")


def _result(options: argparse.Namespace) -> Result:
    """Fit and read off what the options name."""
    known = built_in().get(options.table)
    truth, truth_is = None, ""
    outcomes = _outcomes(options.table, options.higher_is_better)
    example = EXAMPLES.get(options.table)
    if example is not None:
        truth, truth_is = load_truth(options.table), example.truth_is
    if options.truth is not None:
        truth = Outcomes.load(options.truth, higher_is_better=outcomes.higher_is_better)
        truth_is = options.truth.name
        if (truth.task_names, truth.target_names) != (outcomes.task_names, outcomes.target_names):
            expected = "the same tasks and targets in the same order as the table"
            raise InputError("--truth", truth_is, expected, "Test on subsets of the same tasks.")
    settings = Settings.checked(
        outcomes, target=options.target, kernel=options.kernel, gamma=options.gamma, ridge=options.ridge,
        readout=options.readout, used=options.used,
    )  # fmt: skip
    title = getattr(options, "title", "") or (known.title if known else Path(options.table).stem)
    return result_of(
        outcomes, settings, title=title, table=options.table, is_example=known is not None, truth=truth,
        truth_is=truth_is, link=getattr(options, "link", ""),
    )  # fmt: skip


def views(options: argparse.Namespace) -> None:
    """Print what Compare shows of two views."""
    if options.top < 1:
        raise InputError("--top", str(options.top), "1 or more", "Write for example 5.")
    found = compare_views(*_two_views(options))
    if options.json:
        print(json.dumps(_known(two_views_json(found)), allow_nan=False))
    else:
        print(*two_views_lines(found, options.top), sep="\n")


_OF_SECOND = ("target", "kernel", "gamma", "ridge", "readout")


def _names_a_second_view(options: argparse.Namespace) -> bool:
    return bool(options.other) or any(getattr(options, f"with_{name}") is not None for name in (*_OF_SECOND, "used"))


def _beside(options: argparse.Namespace) -> Beside:
    """The part of a report that compares two views."""
    from kernelsm.export.report_comparison import Beside  # as the report: it needs Plotly

    first, second = _two_views(options)
    tables = options.table, options.other or options.table
    names = [_in_words(view, Path(table).stem) for view, table in zip((first, second), tables, strict=True)]
    return Beside((names[0], names[1]), compare_views(first, second))


def _in_words(view: View, table: str) -> str:
    kernel, gamma, ridge = view.settings
    numbers = "".join(f" {sign} {value:.4g}" for sign, value in (("γ", gamma), ("ridge", ridge)) if value is not None)
    target = view.one_target or MEAN_TARGET
    return f"{table}, {target}, {kernel}{numbers}, {view.kind.replace('_', ' ')}, {view.outcomes.m:,} subsets"


def _two_views(options: argparse.Namespace) -> tuple[View, View]:
    """The view that the options name, and the second one, which is as the first in what they do not say of it."""
    better = options.higher_is_better
    table = _outcomes(options.table, better)
    first = View(
        _first_of(table, options.used), options.target, options.kernel, options.gamma, options.ridge, options.readout
    )
    own = {name: given for name in _OF_SECOND if (given := getattr(options, f"with_{name}")) is not None}
    table = _outcomes(options.other, better) if options.other else table
    outcomes = _first_of(table, options.used if options.with_used is None else options.with_used)
    target = first.target if first.target in outcomes.target_names else ""
    return first, replace(first, outcomes=outcomes, **{"target": target, **own})


def _first_of(outcomes: Outcomes, used: int | None) -> Outcomes:
    """The first subsets of a table; all of it for None."""
    if used is None:
        return outcomes
    check_whole("subsets used", used, 3, outcomes.m, fix="Leave it out to use all.")
    return outcomes.take(range(used))


def _outcomes(table: str, higher_is_better: bool) -> Outcomes:
    """The table of an example's name or of a file."""
    if table in built_in():
        return with_noise(load_example(table), load_run_orders(table))
    return Outcomes.load(Path(table), higher_is_better=higher_is_better)


COMMANDS = {"fit": fit, "report": report, "notebook": notebook, "tables": tables, "views": views}
