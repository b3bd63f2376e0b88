"""The chart of a lesson with its control at one position, and its numbers as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kernelsm.app.learn.lesson import Lesson
from kernelsm.app.learn.shown import HELD_OUT, TRAINING, Array, Shown
from kernelsm.charts.lessons import dots, errors
from kernelsm.charts.style import Chart
from kernelsm.surrogates.wording import amount


def lesson_chart(lesson: Lesson, shown_at: tuple[Shown, ...], at: int, *, dark: bool) -> Chart:
    """Draw what the control shows at position `at`.

    Views of one number, and errors, keep what the control has passed, so that positions can be compared.
    """
    first = lesson.positions[0].view
    labels = [position.label for position in lesson.positions]
    if first.kind == "fit":
        return errors(
            labels, _passed(shown_at, TRAINING, at), _passed(shown_at, HELD_OUT, at), what=shown_at[at].unit,
            control=lesson.label, dark=dark,
        )  # fmt: skip
    if first.kind in ("attributions", "interactions"):
        now = shown_at[at]
        series = [(each.name, each.values, each.margins) for each in now.series]
        return dots(now.rows, series, unit=now.unit, truth=now.truth, axis=first.axis, dark=dark)
    row = shown_at[0].rows[0]
    truths = None
    if first.truth:
        truths = np.array([found.truth[0] if found.truth is not None else np.nan for found in shown_at])
        truths[at + 1 :] = np.nan
    name = shown_at[0].series[0].name
    return dots(
        labels, [(name, *_passed(shown_at, row, at))], unit=shown_at[0].unit, truth=truths, axis=first.axis,
        signed=first.kind == "change", dark=dark,
    )  # fmt: skip


def lesson_table(lesson: Lesson, shown_at: tuple[Shown, ...], at: int) -> pd.DataFrame:
    """Return what the chart draws as a table of texts."""
    rows = []
    kind = lesson.positions[0].view.kind
    whole = kind in ("attributions", "interactions")
    for position in [at] if whole else range(at + 1):
        found = shown_at[position]
        for i, name in enumerate(found.rows if kind != "order" else found.rows[:1]):
            cells = {series.name: amount(series.values[i], series.margins[i]) for series in found.series}
            truth = {} if found.truth is None else {"truth": f"{found.truth[i]:.3g}"}
            label = lesson.positions[position].label
            where = name if whole else f"{label}: {name}" if kind == "fit" else label
            rows.append({lesson.label if not whole else "of": where, **cells, **truth})
    return pd.DataFrame(rows).set_index(lesson.label if not whole else "of")


def _passed(shown_at: tuple[Shown, ...], row: str, at: int) -> tuple[Array, Array]:
    """Values and half-widths of a row at each position, NaN where the control has not been."""
    found = np.full((2, len(shown_at)), np.nan)
    for i, shown in enumerate(shown_at[: at + 1]):
        k = shown.rows.index(row)
        found[:, i] = shown.series[0].values[k], shown.series[0].margins[k]
    return found[0], found[1]
