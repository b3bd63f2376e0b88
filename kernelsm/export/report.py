"""A result as one HTML file that opens without a network: verdict, settings, charts, tables, fidelity, citation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kernelsm.charts.attribution import MOST_BARS, attribution_bars
from kernelsm.charts.fit import predicted_vs_observed
from kernelsm.charts.interactions import interaction_heatmap
from kernelsm.export.as_code import command_line, python_code
from kernelsm.export.findings import KERNEL_NAMES, fidelity_rows, fidelity_sentence, headlines, not_told
from kernelsm.export.report_charts import DRAW, DrawnChart, script_hash, script_json
from kernelsm.export.report_comparison import Beside, sections
from kernelsm.export.result import CITATION, Result, versions
from kernelsm.export.tables import effects_table, pairs_table
from kernelsm.surrogates.wording import amount, decimals_for, number

MOST_PAIRS, OPEN_PAIRS = 300, 20
_GAPS_UP_TO = 100
SIGN = {
    False: "Outcomes are losses: a negative effect helps. A negative interaction is synergy, a positive one "
    "redundancy or conflict.",
    True: "Outcomes are scores: a positive effect helps. A positive interaction is synergy, a negative one "
    "redundancy or conflict.",
}
READOUT_NAMES = {
    "leave_one_out": "leave one out: g(all tasks) minus g(all but this one); for pairs the second difference there",
    "inclusion": "inclusion: mean of g over random subsets with the task, minus the mean over those without it",
    "shapley": "Shapley: mean effect of adding the task in a random order",
}
_PANELS = {"auto": "Auto", "rbf": "RBF", "poly": "Quadratic", "linear": "Linear"}
# what made the outcomes; other metadata of a file stays out
_MADE = (
    "estimator", "projection", "ridge", "outputs", "design", "p", "size", "seed", "model", "orders", "calibrated"
)  # fmt: skip


def html_report(result: Result, *, written: str = "", beside: Sequence[Beside] = ()) -> str:
    """Return a result as one HTML file, which asks for nothing from anywhere.

    Names stand in it as text: Jinja2 escapes them, and the charts' JSON cannot end its script element. A content
    security policy forbids requests, and scripts other than the two of the file.

    Parameters
    ----------
    result : Result
    written : str
        When, as it is to stand in the report; "" leaves it out.
    beside : sequence of Beside
        Comparisons with other views, each a part of its own.

    Examples
    --------
    >>> from kernelsm import load_example
    >>> from kernelsm.export.result import Settings, result_of
    >>> outcomes = load_example("planted")
    >>> settings = Settings.checked(outcomes, kernel="rbf")
    >>> result = result_of(outcomes, settings, title="Planted game", table="planted", is_example=True)
    >>> page = html_report(result)
    >>> page.startswith("<!doctype html>"), "poetry (does nothing)" in page
    (True, True)
    """
    # imported here: a server or a command that writes no report need not load them
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("kernelsm.export", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    compared, of_compared = sections(beside)
    charts = _charts(result) | {name: DrawnChart(name, chart) for name, chart in of_compared.items()}
    plotly_js = get_plotlyjs()
    settings = result.settings
    return environment.get_template("report.html").render(
        result=result,
        outcomes=result.outcomes,
        written=written,
        headlines=headlines(result),
        sign=SIGN[result.higher_is_better],
        settings=_settings(result),
        made=_made(result.outcomes.meta),
        versions=versions(),
        charts=charts,
        chart_data=script_json({name: chart.to_json() for name, chart in charts.items()}),
        plotly_js=plotly_js,
        draw_js=DRAW,
        script_hashes=f"{script_hash(plotly_js)} {script_hash(DRAW)}",
        effects=_shown(effects_table(result), result),
        pairs=_shown_pairs(result),
        open_pairs=OPEN_PAIRS,
        most_bars=MOST_BARS,
        all_pairs=result.outcomes.K * (result.outcomes.K - 1) // 2,
        fidelity=fidelity_rows(result),
        fidelity_says=fidelity_sentence(result),
        not_told=not_told(result),
        beside=compared,
        citation=CITATION,
        command=command_line(result.outcomes, settings, result.table),
        python=python_code(result.outcomes, settings, result.table, is_example=result.is_example),
    )


def _charts(result: Result) -> dict[str, DrawnChart]:
    readout, names = result.readout, result.outcomes.task_names
    effects = readout.attribution
    shared: dict[str, Any] = {"unit": result.unit, "higher_is_better": result.higher_is_better}
    charts = {
        "effects": DrawnChart(
            "effects",
            attribution_bars(
                effects.values[:, 0], names, **shared, margin=effects.margin()[:, 0], verdicts=readout.task_verdicts,
                measured=effects.measured,
            ),
        )
    }  # fmt: skip
    if len(names) > 1 and readout.interactions.values.any():
        light, dark = (
            interaction_heatmap(
                readout.interactions.values[:, :, 0], names, **shared, distinguishable=readout.clear,
                measured=readout.interactions.measured, clickable=False, dark=is_dark,
            )
            for is_dark in (False, True)
        )  # fmt: skip
        if len(names) > _GAPS_UP_TO:  # the gaps would be as wide as the cells
            for chart in (light, dark):
                chart.figure.update_traces(xgap=0, ygap=0)
        charts["interactions"] = DrawnChart("interactions", light, dark)
    if result.fidelity is not None:
        fidelity = result.fidelity
        panels = {_PANELS[result.settings.kernel]: fidelity.predicted, "Linear, tuned": fidelity.linear}
        charts["fidelity"] = DrawnChart(
            "fidelity", predicted_vs_observed(fidelity.observed, panels, unit=result.unit)
        )
    return charts


def _settings(result: Result) -> list[tuple[str, str]]:
    settings, outcomes = result.settings, result.outcomes
    kernel, gamma, ridge = settings.surrogate()
    rows = [
        ("Table", result.table if result.is_example else f"{result.table}, content {outcomes.content_hash[:12]}"),
        (
            "Subsets, tasks, targets",
            f"{'' if settings.used is None else 'the first '}{outcomes.m:,}, {outcomes.K:,}, {outcomes.q:,}",
        ),
        ("Target", result.target),
        ("Unit", result.unit),
        ("Surrogate", KERNEL_NAMES[kernel]),
        ("Readout", READOUT_NAMES[settings.readout]),
        ("Intervals", "90 %, Student's t"),
    ]
    if kernel in ("rbf", "poly"):
        rows.append(("γ", number(gamma if gamma is not None else 1 / outcomes.K) + ("" if gamma else " (1/K)")))
    if kernel != "auto":
        rows.append(("Ridge λ", number(ridge)))
    if result.fidelity is not None and result.fidelity.choice:
        rows.append(("Without the held-out subsets", result.fidelity.choice))
    return rows


def _made(meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    plain = ((name, meta[name]) for name in _MADE if isinstance(meta.get(name), str | int | float | bool))
    return [(name, value[:80] if isinstance(value, str) else json.dumps(value)) for name, value in plain]


def _shown(table: pd.DataFrame, result: Result, value: str = "effect") -> list[dict[str, str]]:
    """Rows of a table as they stand in the report: the value with its interval's ends, and the verdict."""
    rows: list[dict[str, str]] = []
    for row in table.to_dict("records"):
        known = bool(np.isfinite(row["low"]))
        margin = (row["high"] - row["low"]) / 2 if known else None
        decimals = decimals_for(margin or 0.0, least=0)
        rows.append(
            {
                **{name: str(row[name]) for name in ("task", "first", "second") if name in row},
                "value": amount(row[value], margin, signed=True, measured=bool(row["measured"])),
                **{
                    end: "not known" if margin is None else f"{row[end]:+z.{decimals}f}" if margin else "exact"
                    for end in ("low", "high")
                },
                "verdict": str(row["verdict"]),
            }
        )
    return rows


def _shown_pairs(result: Result) -> list[dict[str, str]]:
    if result.outcomes.K < 2:
        return []
    return _shown(pairs_table(result, all_pairs=False).iloc[:MOST_PAIRS], result, "interaction")
