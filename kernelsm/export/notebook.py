"""A result as a notebook with its data in one zip: run from top to bottom it gives the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from kernelsm.export.as_code import fit_lines, load_lines, read_lines
from kernelsm.export.result import CITATION, Result, versions
from kernelsm.export.tables import effects_table, pairs_table, parquet_bytes, zip_bytes
from kernelsm.outcomes.table import Outcomes
from kernelsm.workspace.tables import without_keys

NOTEBOOK, TABLE, NOISE, SHOWN_EFFECTS, SHOWN_PAIRS = (
    "result.ipynb", "outcomes.parquet", "noise.parquet", "shown_effects.parquet", "shown_pairs.parquet",
)  # fmt: skip


def notebook_zip(result: Result) -> bytes:
    """Return a zip with a notebook, the table of outcomes, and the numbers that were on screen.

    The notebook fits the surrogate anew, reads it off, draws both charts, and checks that its numbers are those on
    screen to 1e-9. It needs `pip install 'kernelsm[app]'` and a program for notebooks.

    Parameters
    ----------
    result : Result

    Examples
    --------
    >>> from kernelsm import load_example
    >>> from kernelsm.export.result import Settings, result_of
    >>> outcomes = load_example("planted")
    >>> settings = Settings.checked(outcomes, kernel="rbf")
    >>> result = result_of(outcomes, settings, title="Planted game", table="planted", is_example=True)
    >>> from io import BytesIO
    >>> from zipfile import ZipFile
    >>> ZipFile(BytesIO(notebook_zip(result))).namelist()[:2]
    ['result.ipynb', 'outcomes.parquet']
    """
    files = {
        NOTEBOOK: notebook_json(result).encode(),
        TABLE: table_bytes(result.outcomes),
        SHOWN_EFFECTS: parquet_bytes(effects_table(result)),
    }
    if result.outcomes.K > 1:
        files[SHOWN_PAIRS] = parquet_bytes(pairs_table(result, all_pairs=False))
    if result.outcomes.noise is not None:
        noise = pd.DataFrame(result.outcomes.noise)
        files[NOISE] = parquet_bytes(noise.rename(columns=str))
    return zip_bytes(files)


def notebook_json(result: Result) -> str:
    """Return the notebook alone, in version 4.5 of its format."""
    outcomes, settings = result.outcomes, result.settings
    with_pairs = outcomes.K > 1
    count = f"{'' if settings.used is None else 'the first '}{outcomes.m:,}"
    cells = [
        _words(
            f"# {_plain(result.title)}\n\n"
            "Which tasks help, which hurt, and which pairs interact, as the dashboard showed it: "
            f"{count} subsets of {outcomes.K:,} tasks, target {_plain(result.target)}. The data lie beside "
            "this notebook, which runs from top to bottom with `pip install 'kernelsm[app]'`."
        ),
        _code(_loading(result)),
        _words("## Fit\n\nThe surrogate g(s), with the settings that were on screen."),
        _code(fit_lines(outcomes, settings)),
        _words(
            "## Read off\n\nAttribution is F(with) - F(without), an interaction is F(11) - F(10) - F(01) + F(00). "
            + ("For a score positive helps." if outcomes.higher_is_better else "For a loss negative helps.")
        ),
        _code(read_lines(outcomes, settings)),
        _code('effects.to_frame().assign(margin=effects.margin().ravel()).sort_values("value", key=abs)[::-1]'),
        _words("## Charts\n\nBlue helps, orange hurts; veiled pairs cannot be told from zero."),
        _code(_charts(result)),
        _words(
            "## The same numbers\n\nWhat was on screen lies in `shown_effects.parquet` and `shown_pairs.parquet`."
        ),
        _code(_same_numbers(with_pairs)),
        _words(
            "## Versions and citation\n\nComputed with "
            + ", ".join(f"{name} {value}" for name, value in versions().items())
            + f".\n\n```bibtex\n{CITATION}\n```"
            + (f"\n\nThe view in the dashboard: <{result.link}>" if result.link else "")
        ),
    ]
    for place, cell in enumerate(cells):
        cell["id"] = f"cell-{place}"
    content = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, ensure_ascii=False, indent=1)


def _words(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": text}


def _plain(name: str) -> str:
    """A name that Markdown shows as it is: as code, in which nothing is read as markup."""
    ticks = "`"
    while ticks in name:
        ticks += "`"
    pad = " " if name.startswith("`") or name.endswith("`") else ""
    return f"{ticks}{pad}{' '.join(name.split())}{pad}{ticks}"


def _loading(result: Result) -> str:
    lines = load_lines(f'Outcomes.load("{TABLE}")', result.settings)
    if result.outcomes.noise is not None:
        lines = f"from dataclasses import replace\n\nimport pandas as pd\n{lines}"
        lines += (
            "\n# what measuring the same subsets in several orders says of the noise\n"
            f'outcomes = replace(outcomes, noise=pd.read_parquet("{NOISE}").to_numpy())'
        )
    return f"{lines}\noutcomes"


def _charts(result: Result) -> str:
    better = ", higher_is_better=True" if result.higher_is_better else ""
    lines = [
        "from kernelsm.charts.attribution import attribution_bars",
        *(["from kernelsm.charts.interactions import interaction_heatmap"] if result.outcomes.K > 1 else []),
        "",
        "attribution_bars(",
        "    effects.values[:, 0], effects.task_names, margin=effects.margin()[:, 0], verdicts=effects.verdicts(),",
        f"    unit={result.unit!r}{better},",
        ").figure.show()",
    ]
    if result.outcomes.K > 1:
        most = result.readout.tested
        lines += [
            "interaction_heatmap(",
            f"    pairs.values[:, :, 0], pairs.task_names, distinguishable=pairs.told_from_zero(most={most}),",
            f"    unit={result.unit!r}{better}, clickable=False,",
            ").figure.show()",
        ]
    return "\n".join(lines)


def _same_numbers(with_pairs: bool) -> str:
    lines = [
        "import numpy as np",
        "import pandas as pd",
        "",
        f'shown = pd.read_parquet("{SHOWN_EFFECTS}")',
        'largest = np.abs(effects.values[:, 0] - shown["effect"]).max()',
    ]
    if with_pairs:
        lines += [
            f'shown = pd.read_parquet("{SHOWN_PAIRS}")',
            "place = {name: k for k, name in enumerate(pairs.task_names)}",
            'first, second = (shown[side].map(place).to_numpy() for side in ("first", "second"))',
            'largest = max(largest, np.abs(pairs.values[first, second, 0] - shown["interaction"]).max())',
        ]
    lines += [
        'print(f"largest difference from the numbers on screen: {largest:.1e}")',
        "assert largest < 1e-9",
    ]
    return "\n".join(lines)


def table_bytes(outcomes: Outcomes) -> bytes:
    """Return a table of outcomes as Parquet, without the keys of what it was made from."""
    with TemporaryDirectory() as folder:
        return without_keys(outcomes).save(Path(folder) / TABLE).read_bytes()
