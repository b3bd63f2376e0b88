"""The tables of a result: effects, pairs (long and square) and predictions, all with 90 % intervals."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import numpy as np
import pandas as pd

from kernelsm.export.csv_text import csv_text
from kernelsm.export.result import Result
from kernelsm.runtime.progress import Report, silent
from kernelsm.surrogates.results import without_rounding
from kernelsm.surrogates.wording import Verdict, effect_verdict, interaction_verdict

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The date in every entry of an archive: the same content gives the same bytes."""
_PAIR_RATE = 3e9
"""Pairs times fitted subsets squared that one core does intervals of in a second."""


def effects_table(result: Result) -> pd.DataFrame:
    """Return one row per task: effect, std, ends of the 90 % interval, what is said of it, whether it was measured.

    An effect of which no interval is known has none in the table; an exact one is its own interval.
    """
    found = result.readout.attribution
    margin = found.margin()[:, 0]
    values = without_rounding(found.values[:, 0], margin)
    measured = np.zeros(len(values), dtype=bool) if found.measured is None else found.measured
    std = np.full(len(values), np.nan) if found.std is None else found.std[:, 0]
    verdicts = [
        effect_verdict(Verdict(code), float(value), result.higher_is_better)
        for code, value in zip(result.readout.task_verdicts, values, strict=True)
    ]
    return pd.DataFrame(
        {
            "task": list(found.task_names), "effect": values, "std": std, **_ends(values, margin),
            "verdict": verdicts, "measured": measured,
        }
    )  # fmt: skip


def pairs_table(result: Result, *, all_pairs: bool = True, report: Report = silent) -> pd.DataFrame:
    """Return one row per pair: interaction, std, ends of the 90 % interval, what is said of it, whether measured.

    Parameters
    ----------
    result : Result
    all_pairs : bool
        Every pair j < k in the order of the tasks. Otherwise those that were tested, told from zero first, by size.
    report : Report
        Told how many pairs have their intervals.
    """
    found = result.readout.interactions
    first, second = found.pairs if all_pairs else result.readout.ranked_pairs
    std, at_once = np.zeros(len(first)), _pairs_at_once(result.outcomes.m)
    for start in range(0, len(first), at_once):
        block = slice(start, start + at_once)
        report(start, len(first), "intervals of pairs", reused=None)
        std[block] = found.std_of(first[block], second[block])[:, 0]
    margin = found.quantile() * std
    values = without_rounding(found.values[first, second, 0], std)
    measured = np.zeros(len(values), dtype=bool) if found.measured is None else found.measured[first, second]
    names = np.array(found.task_names, dtype=object)
    verdicts = [
        interaction_verdict(Verdict(code), float(value), result.higher_is_better)
        for code, value in zip(result.readout.pair_verdicts[first, second], values, strict=True)
    ]
    return pd.DataFrame(
        {
            "first": names[first], "second": names[second], "interaction": values, "std": std,
            **_ends(values, margin), "verdict": verdicts, "measured": measured,
        }
    )  # fmt: skip


def _ends(values: np.ndarray, margin: np.ndarray) -> dict[str, np.ndarray]:
    known = np.isfinite(margin)
    half = np.where(known, margin, 0.0)
    return {"low": np.where(known, values - half, np.nan), "high": np.where(known, values + half, np.nan)}


def square_table(result: Result, what: str = "interaction", pairs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the K x K table of all pairs: a column "task", then one per task; the diagonal is empty.

    Parameters
    ----------
    result : Result
    what : {"interaction", "std", "low", "high"}
    pairs : DataFrame, optional
        `pairs_table` of all pairs, where it is at hand: of many tasks its intervals take long.
    """
    found = result.readout.interactions
    names = list(found.task_names)
    square = np.full((len(names), len(names)), np.nan)
    if len(names) > 1:
        first, second = found.pairs
        square[first, second] = square[second, first] = (pairs_table(result) if pairs is None else pairs)[
            what
        ].to_numpy()
    heading = "task"
    while heading in names:  # a task may be called "task"
        heading += "_"
    return pd.concat([pd.DataFrame({heading: names}), pd.DataFrame(square, columns=names)], axis=1)


def predictions_table(result: Result) -> pd.DataFrame:
    """Return one row per fitted subset: the tasks in it, the measured outcome, and what g says with its interval."""
    outcomes, g = result.outcomes, result.surrogate
    predicted, std = (table.reshape(outcomes.m, -1)[:, 0] for table in g.predict(outcomes.masks, return_std=True))
    settings = result.settings
    measured = outcomes.target(settings.target).values[:, 0] if settings.target else (
        outcomes.mean_over_targets(outcomes.values)
    )  # fmt: skip
    margin = result.readout.attribution.quantile() * std
    tasks = {f"task:{name}": outcomes.masks[:, k].astype(np.int8) for k, name in enumerate(outcomes.task_names)}
    return pd.DataFrame(
        {**tasks, "observed": measured, "predicted": predicted, "std": std, **_ends(predicted, margin)}
    )


def _pairs_at_once(m: int) -> int:
    """Pairs whose intervals take about half a second, in which nothing can be stopped."""
    return max(64, int(_PAIR_RATE / 2 / m**2))


def all_tables(result: Result, report: Report = silent) -> dict[str, pd.DataFrame]:
    """Return every table of a result by name; `report` hears how many pairs have their intervals."""
    tables = {"effects": effects_table(result)}
    if result.outcomes.K > 1:
        pairs = pairs_table(result, report=report)
        tables |= {"interactions": pairs} | {
            f"interactions_square_{what}": square_table(result, what, pairs)
            for what in ("interaction", "low", "high")
        }
    return tables | {"predictions": predictions_table(result)}


def tables_zip(result: Result, report: Report = silent) -> bytes:
    """Return all tables in a zip, each as CSV, in which no name is run as a formula, and as Parquet.

    Parameters
    ----------
    result : Result
    report : Report
        Told how many pairs have their intervals.

    Examples
    --------
    >>> from kernelsm import load_example
    >>> from kernelsm.export.result import Settings, result_of
    >>> outcomes = load_example("planted")
    >>> settings = Settings.checked(outcomes, kernel="rbf")
    >>> result = result_of(outcomes, settings, title="Planted game", table="planted", is_example=True)
    >>> from io import BytesIO
    >>> from zipfile import ZipFile
    >>> ZipFile(BytesIO(tables_zip(result))).namelist()[:2]
    ['effects.csv', 'effects.parquet']
    """
    files: dict[str, bytes] = {}
    for name, table in all_tables(result, report).items():
        files[f"{name}.csv"] = csv_text(table).encode()
        files[f"{name}.parquet"] = parquet_bytes(table)
    return zip_bytes(files)


def parquet_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as a Parquet file."""
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    return content.getvalue()


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return files in an archive, with the same bytes for the same content."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EARLIEST), data, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def seconds_for_all_pairs(K: int, m: int) -> float:
    """About how long the intervals of all pairs of K tasks take, with m fitted subsets."""
    return K * (K - 1) / 2 * m**2 / _PAIR_RATE
