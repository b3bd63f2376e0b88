"""Outcomes: a table of subsets of tasks and their outcomes, the input of every surrogate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from kernelsm.files.accepting import check_written_ending
from kernelsm.outcomes.names import check_names
from kernelsm.outcomes.splitting import random_parts
from kernelsm.outcomes.table_files import METADATA_KEY, read_files
from kernelsm.outcomes.table_validation import (
    TARGET_PREFIX,
    TASK_PREFIX,
    check_arrays,
    check_frame,
    check_noise,
    check_target_weights,
)
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.checks import check_number
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import content_hash


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Outcomes F(s) of `m` subsets of `K` tasks on `q` targets.

    Parameters
    ----------
    masks : array-like of 0/1 or bool, shape (m, K)
        Row i says which tasks were in subset i.
    values : array-like of float, shape (m, q) or (m,)
        F(s) in the target's own unit (mean loss in nats for the built-in examples). Finite.
    task_names, target_names : sequence of str, optional
        Unique, non-empty names; "task 1", ... and "target 1", ... where not given.
    higher_is_better : bool
        False for a loss (negative attribution helps), True for a score such as accuracy.
    meta : dict, optional
        What made the table; JSON types only. Kept in Parquet files.
    noise : 0, or array-like, shape (n, q), optional
        What measuring some subsets more than once says of the noise: noise.T @ noise is the covariance of the noise
        of one row of values (see `order_noise`). Surrogates that choose their own noise never assume less. 0 where
        measuring again would give the same outcomes. Not kept in files.
    target_weights : array-like of float, shape (q,), optional
        How much each target counts in `mean_target`, above 0; only their ratios count. The number of samples of each
        target makes it the mean over samples. All count the same if not given. Kept in Parquet files.

    Raises
    ------
    InputError
        A mask that is not 0/1, a value or a noise that is not finite, fewer than 1 row, wrong shapes, bad names, or
        weights that are not above 0.

    Examples
    --------
    >>> from kernelsm import Outcomes
    >>> masks = [[1, 1], [1, 0], [0, 1], [0, 0]]
    >>> outcomes = Outcomes(masks, [1.0, 2.0, 2.0, 4.0], task_names=["reviews", "tweets"])
    >>> outcomes
    Outcomes(m=4, K=2, q=1, loss, mean=2.25)
    >>> outcomes.task_names
    ('reviews', 'tweets')
    """

    masks: NDArray[np.bool_]
    values: NDArray[np.float64]
    task_names: tuple[str, ...] = ()
    target_names: tuple[str, ...] = ()
    higher_is_better: bool = False
    meta: dict[str, Any] = field(default_factory=dict)
    noise: NDArray[np.float64] | None = None
    target_weights: NDArray[np.float64] | None = None

    def __init__(
        self,
        masks: ArrayLike,
        values: ArrayLike,
        *,
        task_names: Sequence[str] | None = None,
        target_names: Sequence[str] | None = None,
        higher_is_better: bool = False,
        meta: dict[str, Any] | None = None,
        noise: ArrayLike | None = None,
        target_weights: ArrayLike | None = None,
    ) -> None:
        mask_array, value_array = check_arrays(masks, values)
        tasks = check_names("task_names", task_names, mask_array.shape[1], "task")
        targets = check_names("target_names", target_names, value_array.shape[1], "target")
        mask_array.flags.writeable = value_array.flags.writeable = False
        for name, value in (
            ("masks", mask_array), ("values", value_array), ("task_names", tasks), ("target_names", targets),
            ("higher_is_better", bool(higher_is_better)), ("meta", dict(meta or {})),
            ("noise", check_noise(noise, value_array.shape[1])),
            ("target_weights", check_target_weights(target_weights, value_array.shape[1])),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        kind = "score" if self.higher_is_better else "loss"
        return f"Outcomes(m={self.m}, K={self.K}, q={self.q}, {kind}, mean={self.values.mean():.4g})"

    def __len__(self) -> int:
        return self.m

    @property
    def m(self) -> int:
        """Number of subsets."""
        return int(self.masks.shape[0])

    @property
    def K(self) -> int:  # noqa: N802 - the field's sign for the number of tasks
        """Number of tasks."""
        return int(self.masks.shape[1])

    @property
    def q(self) -> int:
        """Number of targets."""
        return int(self.values.shape[1])

    @cached_property
    def content_hash(self) -> str:
        """Forty hex digits of everything but `noise` and `meta`, of which only the unit counts."""
        unit = self.meta.get("unit")
        # a table whose targets weigh the same keeps the hash that it had when there were no weights
        weights = () if self.target_weights is None else (self.target_weights,)
        names = self.task_names, self.target_names
        return content_hash(self.masks, self.values, *names, self.higher_is_better, unit, *weights)

    def take(self, rows: ArrayLike) -> Outcomes:
        """Return the outcomes of some subsets: `rows` are indices or a boolean row mask.

        Examples
        --------
        >>> outcomes = Outcomes([[1, 1], [1, 0], [0, 1]], [1.0, 2.0, 4.0])
        >>> outcomes.take([0, 2]).values.ravel().tolist()
        [1.0, 4.0]
        """
        rows = np.asarray(rows)
        return self._with(masks=self.masks[rows], values=self.values[rows])

    def target(self, name: str) -> Outcomes:
        """Return the outcomes of one target.

        Raises
        ------
        KeyError
            No target has that name.

        Examples
        --------
        >>> outcomes = Outcomes([[1, 0], [0, 1]], [[1.0, 5.0], [2.0, 6.0]], target_names=["reviews", "tweets"])
        >>> outcomes.target("tweets").values.ravel().tolist()
        [5.0, 6.0]
        """
        if name not in self.target_names:
            raise KeyError(f"no target {name!r}; the targets are {', '.join(self.target_names)}")
        j = self.target_names.index(name)
        noise = None if self.noise is None else self.noise[:, [j]]
        return self._with(values=self.values[:, [j]], target_names=(name,), noise=noise, target_weights=None)

    @property
    def computed_exactly(self) -> bool:
        """Whether the metadata says that the outcomes were computed without noise.

        Retraining from the same weights is, and GradEx in an exact basis; of a projection it is not, whose outcomes
        scatter about those of retraining.

        Examples
        --------
        >>> from kernelsm import load_example
        >>> load_example("digits").computed_exactly, load_example("planted").computed_exactly
        (True, False)
        """
        estimator = self.meta.get("estimator")
        exact_basis = estimator == "gradex" and self.meta.get("projection") == "exact basis"
        return exact_basis or estimator in ("retraining", "game without noise")

    def mean_target(self, name: str = "mean over targets") -> Outcomes:
        """Return the outcomes of one target that is the mean over all targets, weighed by `target_weights`.

        Examples
        --------
        >>> masks, values = [[1, 0], [0, 1]], [[1.0, 5.0], [2.0, 6.0]]
        >>> Outcomes(masks, values).mean_target().values.ravel().tolist()
        [3.0, 4.0]

        By size, for targets of 300 and 100 test samples:

        >>> Outcomes(masks, values, target_weights=[300, 100]).mean_target().values.ravel().tolist()
        [2.0, 3.0]
        """
        noise = None if self.noise is None else self.mean_over_targets(self.noise)[:, None]
        values = self.mean_over_targets(self.values)[:, None]
        return self._with(values=values, target_names=(name,), noise=noise, target_weights=None)

    def mean_over_targets(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return the mean over targets of other numbers, such as predictions, weighed as in `mean_target`.

        Parameters
        ----------
        values : array-like of float, shape (..., q)

        Returns
        -------
        ndarray, shape (...)

        Examples
        --------
        >>> outcomes = Outcomes([[1, 0], [0, 1]], [[1.0, 5.0], [2.0, 6.0]], target_weights=[300, 100])
        >>> outcomes.mean_over_targets([2.0, 10.0]).tolist()
        4.0
        """
        return np.asarray(np.average(np.asarray(values, dtype=np.float64), axis=-1, weights=self.target_weights))

    def split(self, fraction: float = 0.8, *, seed: int = 0) -> tuple[Outcomes, Outcomes]:
        """Split the subsets at random into (train, test); both keep at least one row.

        Rows of one subset come to the same side, so the sizes may be a little off; see `random_parts`.

        Raises
        ------
        InputError
            `fraction` is not between 0 and 1, or there are fewer than 2 subsets.

        Examples
        --------
        >>> from kernelsm import bernoulli_masks
        >>> masks = bernoulli_masks(K=12, m=100)
        >>> train, test = Outcomes(masks, masks.sum(axis=1)).split(0.8)
        >>> train.m, test.m
        (80, 20)
        """
        check_number("fraction", fraction, above=0, below=1, fix="0.8 keeps 80 % to train.")
        if self.m < 2:
            raise InputError("outcomes", "1 subset", "at least 2 to split", "Sample more subsets.")
        cut = min(max(round(fraction * self.m), 1), self.m - 1)
        train, test = random_parts(self.masks, [cut], seed)
        return self.take(np.sort(train)), self.take(np.sort(test))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per subset: 0/1 columns `task:NAME`, float columns `target:NAME`.

        Examples
        --------
        >>> Outcomes([[1, 0]], [0.5], task_names=["reviews", "tweets"], target_names=["test"]).to_frame()
           task:reviews  task:tweets  target:test
        0             1            0          0.5
        """
        tasks = pd.DataFrame(self.masks.astype(np.int8), columns=[TASK_PREFIX + n for n in self.task_names])
        targets = pd.DataFrame(self.values, columns=[TARGET_PREFIX + n for n in self.target_names])
        return pd.concat([tasks, targets], axis=1)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        higher_is_better: bool = False,
        meta: dict[str, Any] | None = None,
        source: str = "table",
        target_weights: ArrayLike | None = None,
    ) -> Outcomes:
        """Read a frame with columns `task:NAME` (0/1) and `target:NAME` (numbers).

        Raises
        ------
        InputError
            Names the row and column of the first thing that is wrong; `source` is the name it gives the table.

        Examples
        --------
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"task:reviews": [0, 1], "target:accuracy": [0.5, 0.9]})
        >>> Outcomes.from_frame(frame, higher_is_better=True)
        Outcomes(m=2, K=1, q=1, score, mean=0.7)
        """
        masks, values, tasks, targets = check_frame(frame, source)
        weights = check_target_weights(target_weights, len(targets), f"{source}, target_weights")
        return cls(
            masks, values, task_names=tasks, target_names=targets, higher_is_better=higher_is_better, meta=meta,
            target_weights=weights,
        )  # fmt: skip

    def save(self, path: str | Path) -> Path:
        """Write Parquet, which keeps all but `noise`, or, for a name ending in .csv, plain CSV.

        Examples
        --------
        >>> Outcomes([[1, 0], [0, 1]], [1.0, 2.0]).save("outcomes.parquet").name
        'outcomes.parquet'
        """
        path = Path(path)
        check_written_ending(path, ".parquet", ".csv")
        with write_whole(path) as part:
            if path.suffix == ".csv":
                self.to_frame().to_csv(part, index=False)
            else:
                table = pa.Table.from_pandas(self.to_frame(), preserve_index=False)
                info: dict[str, Any] = {"higher_is_better": self.higher_is_better, "meta": self.meta}
                if self.target_weights is not None:
                    info["target_weights"] = self.target_weights.tolist()
                described = table.replace_schema_metadata({METADATA_KEY: json.dumps(info, sort_keys=True).encode()})
                pq.write_table(described, part, compression="zstd")
        return path

    @classmethod
    def load(cls, path: str | Path, *, higher_is_better: bool = False) -> Outcomes:
        """Read what `save` wrote, or any table in a documented format: CSV, TSV, Excel, Parquet, JSON, NPZ.

        `higher_is_better` is used where the file does not say.

        Raises
        ------
        InputError
            Names the file, row and column of the first thing that is wrong.
        FileNotFoundError
            No such file.

        Examples
        --------
        >>> path = Outcomes([[1, 0], [0, 1]], [1.0, 2.0]).save("outcomes.csv")
        >>> Outcomes.load(path)
        Outcomes(m=2, K=2, q=1, loss, mean=1.5)
        """
        path = Path(path)
        return cls.from_bytes(path.read_bytes(), path.name, higher_is_better=higher_is_better)

    @classmethod
    def from_bytes(cls, data: bytes, name: str, *, higher_is_better: bool = False) -> Outcomes:
        """Read the content of a file, as `load` does.

        `name` chooses the format and is in messages.

        Raises
        ------
        InputError
            Names the file, row and column of the first thing that is wrong.
        """
        return cls.from_files([(data, name)], higher_is_better=higher_is_better)

    @classmethod
    def from_files(cls, files: Sequence[tuple[bytes, str]], *, higher_is_better: bool = False) -> Outcomes:
        """Read one table from the contents and names of its files.

        That is one file, as `from_bytes` reads it, or two JSON files in any order, as published with the paper: a
        list of the tasks in each subset, counted from 0, and a list of the outcomes of each subset.

        Raises
        ------
        InputError
            Names the file, row and column of the first thing that is wrong.
        """
        frame, info, source = read_files(files)
        meta = info.get("meta") or {"source": source}
        if info.get("notes"):
            meta = {**meta, "notes": info["notes"]}
        return cls.from_frame(
            frame,
            higher_is_better=info.get("higher_is_better", higher_is_better),
            meta=meta,
            source=source,
            target_weights=info.get("target_weights"),
        )

    def _with(self, **changes: Any) -> Outcomes:
        return replace(self, **changes)
