"""A file of costs: what keeping each task costs, one row a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.runtime.errors import InputError


def read_costs(path: Path, task_names: Sequence[str]) -> NDArray[np.float64]:
    """Read a CSV file with the columns `task` and `cost`, and a row for every task in any order.

    Parameters
    ----------
    path : Path
    task_names : sequence of str
        Of the K tasks.

    Returns
    -------
    ndarray, shape (K,)
        Costs in the order of the tasks.

    Raises
    ------
    InputError
        Other columns, a task that is unknown, missing or there twice, or a cost that is no number from 0.
    """
    expected, fix = "the columns 'task' and 'cost'", "Write a row for every task."
    try:
        frame = pd.read_csv(path, dtype={"task": str}, keep_default_na=False)
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(path.name, str(error)[:120], expected, fix) from None
    if not {"task", "cost"} <= set(frame.columns):
        raise InputError(path.name, f"the columns {', '.join(map(repr, frame.columns))}"[:200], expected, fix)
    costs = dict.fromkeys(task_names, float("nan"))
    for row, (task, cost) in enumerate(zip(frame["task"].str.strip(), frame["cost"], strict=True), start=1):
        place = f"{path.name}, row {row}"
        if task not in costs:
            raise InputError(
                place, f"the task {task[:80]!r}", "a task of the table", "Write its name as it is there."
            )
        if not np.isnan(costs[task]):
            raise InputError(place, f"the task {task[:80]!r} again", "each task once", "Leave out one of the rows.")
        number = pd.to_numeric(cost, errors="coerce")
        if not (np.isfinite(number) and number >= 0):
            raise InputError(f"{place}, 'cost'", repr(cost)[:80], "a number from 0", "Write what the task costs.")
        costs[task] = float(number)
    missing = [task for task, cost in costs.items() if np.isnan(cost)]
    if missing:
        raise InputError(path.name, f"no row for {missing[0]!r}", "every task", fix)
    return np.array(list(costs.values()))
