"""What is read off a surrogate: Attribution and Interactions, with names, units, intervals and words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from kernelsm.runtime.checks import check_probability
from kernelsm.runtime.near_ties import NEAR, rising, tolerance_of
from kernelsm.surrogates.pair_deviations import PairStdOfTarget, PairStdTable
from kernelsm.surrogates.result_files import read_result, write_result
from kernelsm.surrogates.subset_distributions import Array, Indices
from kernelsm.surrogates.verdicts import Verdicts, told_from_zero, verdicts
from kernelsm.surrogates.wording import (
    LEVEL,
    Verdict,
    attribution_sentence,
    effect_word,
    interaction_sentence,
    interaction_word,
)

_PAIRS_AT_ONCE = 4096


def interval_quantile(degrees_of_freedom: float, level: float = LEVEL) -> float:
    """Return how many standard deviations an interval of this level reaches to either side (Student's t)."""
    check_probability("level", level, fix="0.9 is usual.")
    return float(t.ppf((1 + level) / 2, max(degrees_of_freedom, 1)))


def without_rounding(values: ArrayLike, width: ArrayLike) -> Array:
    """Return the values, but 0 for those below a billionth of the width of their interval.

    The sign of what is 0 on paper is that of rounding, and would decide on words and colours. NaN where a width is
    not known leaves the value.
    """
    found = np.asarray(values, dtype=np.float64)
    return np.where(np.abs(found) <= NEAR * np.asarray(width), 0.0, found)


@dataclass(frozen=True, eq=False)
class _Readout:
    """What both results share: names, signs, and how wide an interval is.

    Parameters
    ----------
    values : ndarray of float64
        In the outcome's unit; the last axis is the target.
    task_names, target_names : tuple of str
    higher_is_better : bool
    meta : dict
        Which readout of which surrogate of which outcomes; JSON types.
    degrees_of_freedom : float
        What the noise was estimated from: intervals are Student's t.
    """

    values: Array
    task_names: tuple[str, ...]
    target_names: tuple[str, ...]
    higher_is_better: bool = False
    meta: dict[str, Any] = field(default_factory=dict)
    degrees_of_freedom: float = np.inf

    @property
    def unit(self) -> str:
        """What is measured, in one word."""
        named = self.meta.get("measure")
        return named if isinstance(named, str) else "score" if self.higher_is_better else "loss"

    def quantile(self, level: float = LEVEL) -> float:
        """Return how many standard deviations an interval of this level reaches to either side."""
        return interval_quantile(self.degrees_of_freedom, level)

    def _column(self, target: str | int) -> int:
        if isinstance(target, str):
            if target not in self.target_names:
                raise KeyError(f"no target {target!r}; the targets are {', '.join(self.target_names)}")
            return self.target_names.index(target)
        return range(len(self.target_names))[target]

    def _heading(self) -> str:
        name, K, q = type(self).__name__, len(self.task_names), len(self.target_names)
        return f"{name}({self.meta.get('readout', '')}, K={K}, q={q})"


@dataclass(frozen=True, eq=False)
class Attribution(_Readout):
    """Effect of including each task, F(with) - F(without); for a loss negative helps.

    `values` and `std` have shape (K, q), in the outcome's unit; `std` is the posterior standard deviation, NaN where
    the data leave nothing to estimate it from. `measured`, shape (K,), says which values are read from measured rows
    rather than predicted; None: none is. `matters`, shape (q,), is how large an effect must be to matter (see
    `what_matters`); None: not known, then sentences do not tell "no effect" from "not measured well enough yet".

    Examples
    --------
    >>> from kernelsm import default_surrogate, load_example
    >>> effects = default_surrogate().fit_outcomes(load_example("planted")).attribution("leave_one_out")
    >>> effects.values.shape, effects.unit
    ((10, 1), 'loss')
    >>> low, high = effects.interval(0.9)
    >>> bool((low < high).all())
    True
    """

    std: Array | None = None
    measured: NDArray[np.bool_] | None = None
    matters: Array | None = None

    def interval(self, level: float = LEVEL) -> tuple[Array, Array]:
        """Return lower and upper ends of the intervals, shape (K, q) each."""
        margin = self.margin(level)
        return self.values - margin, self.values + margin

    def margin(self, level: float = LEVEL) -> Array:
        """Return half the width of each interval, shape (K, q)."""
        return self.quantile(level) * (np.full_like(self.values, np.nan) if self.std is None else self.std)

    def target(self, target: str | int) -> Attribution:
        """Return the result of one target."""
        j = [self._column(target)]
        std, matters = (None if array is None else array[..., j] for array in (self.std, self.matters))
        return replace(
            self, values=self.values[:, j], std=std, target_names=(self.target_names[j[0]],), matters=matters
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row per task and target: value and std.

        Examples
        --------
        >>> from kernelsm import Attribution
        >>> import numpy as np
        >>> Attribution(np.array([[-0.5]]), ("reviews",), ("test",), std=np.array([[0.25]])).to_frame()
              task target  value   std
        0  reviews   test   -0.5  0.25
        """
        K, q = self.values.shape
        std = np.full((K, q), np.nan) if self.std is None else self.std
        return pd.DataFrame(
            {
                "task": np.repeat(np.array(self.task_names, dtype=object), q),
                "target": np.tile(np.array(self.target_names, dtype=object), K),
                "value": self.values.ravel(),
                "std": std.ravel(),
            }
        )

    def strongest(self, n: int, target: str | int = 0) -> Indices:
        """Return the `n` tasks of largest magnitude for one target, strongest first; equal ones as they stand."""
        j = self._column(target)
        strength = np.abs(self.values[:, j])
        # magnitudes far below their standard deviation have lost digits
        size = strength if self.std is None else np.concatenate([strength, self.std[:, j]])
        return rising(-strength, tolerance=tolerance_of(size))[:n]

    def told_from_zero(self, target: str | int = 0, *, level: float = LEVEL) -> NDArray[np.bool_]:
        """Return which tasks' effects differ from zero, with all tasks in mind (Benjamini-Hochberg), shape (K,).

        Examples
        --------
        >>> from kernelsm import Attribution
        >>> import numpy as np
        >>> effects = Attribution(np.array([[-0.5], [0.1]]), ("a", "b"), ("test",), std=np.full((2, 1), 0.1))
        >>> effects.told_from_zero().tolist()
        [True, False]
        """
        j = self._column(target)
        std = np.zeros(len(self.values)) if self.std is None else self.std[:, j]
        return told_from_zero(self.values[:, j], std, self.degrees_of_freedom, level=level)

    def verdicts(self, target: str | int = 0) -> Verdicts:
        """Return the `Verdict` of each task's effect, shape (K,): what its sentence says.

        Examples
        --------
        >>> from kernelsm import Attribution
        >>> Attribution(np.array([[-0.5]]), ("a",), ("test",), std=np.array([[0.1]])).verdicts().tolist()  # CLEAR
        [3]
        """
        j = self._column(target)
        margin = np.zeros(len(self.values)) if self.std is None else self.margin()[:, j]
        matters = None if self.matters is None else float(self.matters[j])
        return verdicts(self.values[:, j], margin, self.told_from_zero(j), matters)

    def top(self, n: int = 20, target: str | int = 0) -> pd.DataFrame:
        """Return the `n` strongest tasks for one target, strongest first: value, std, effect and words.

        Examples
        --------
        >>> from kernelsm import Attribution
        >>> import numpy as np
        >>> effects = Attribution(np.array([[-0.2], [0.5]]), ("reviews", "tweets"), ("test",))
        >>> effects.top(1)[["task", "effect"]].values.tolist()
        [['tweets', 'hurts']]
        """
        j = self._column(target)
        order = self.strongest(n, j)
        std = np.full(len(order), np.nan) if self.std is None else self.std[order, j]
        values = without_rounding(self.values[order, j], std)
        return pd.DataFrame(
            {
                "task": [self.task_names[k] for k in order],
                "value": values,
                "std": std,
                "effect": [effect_word(value, self.higher_is_better) for value in values],
                "words": [self.sentence(k, j) for k in order],
            }
        )

    def sentence(self, k: int, target: str | int = 0, *, name: str | None = None) -> str:
        """Say what including task `k` does to a target, with its 90 % interval; `name` replaces the task's.

        Examples
        --------
        >>> from kernelsm import Attribution
        >>> import numpy as np
        >>> effects = Attribution(np.array([[-0.2]]), ("reviews",), ("test",), std=np.array([[0.1]]))
        >>> effects.sentence(0)
        'Including reviews lowers the loss by 0.20 ± 0.16: it helps.'
        """
        j = self._column(target)
        margin = None if self.std is None else float(self.margin()[k, j])
        value = self.values[k, j] if margin is None else without_rounding(self.values[k, j], margin)
        return attribution_sentence(
            name or self.task_names[k], float(value), self.unit, self.higher_is_better, margin,
            verdict=Verdict(self.verdicts(j)[k]), measured=self.measured is not None and bool(self.measured[k]),
        )  # fmt: skip

    def save(self, path: str | Path) -> Path:
        """Write an .npz file without pickles."""
        return write_result(path, self, {"values": self.values, "std": self.std, "measured": self.measured})

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            Not such a file.

        Examples
        --------
        >>> from kernelsm import Attribution
        >>> import numpy as np
        >>> path = Attribution(np.array([[-0.5]]), ("reviews",), ("test",)).save("effects.npz")
        >>> Attribution.load(path).values.tolist()
        [[-0.5]]
        """
        return cls(**read_result(path, cls.__name__))

    def __repr__(self) -> str:
        return f"{self._heading()}\n{self.top(10).drop(columns='words')}"


@dataclass(frozen=True, eq=False)
class Interactions(_Readout):
    """Second differences F(11) - F(10) - F(01) + F(00) of every pair; for a loss negative is synergy.

    `values` has shape (K, K, q), symmetric in the first two axes, zero on their diagonal, in the outcome's unit.
    Standard deviations are computed when asked for, pair by pair: `std_of` for some pairs, `std` for all.
    `measured`, shape (K, K), says which values are read from measured rows rather than predicted; None: none is.
    `matters` is as of `Attribution`.

    Examples
    --------
    >>> from kernelsm import default_surrogate, load_example
    >>> pairs = default_surrogate().fit_outcomes(load_example("planted")).interactions()
    >>> pairs.values.shape
    (10, 10, 1)
    >>> int(pairs.told_from_zero().sum()) // 2  # the three pairs that were planted
    3
    """

    pair_std: Callable[[Indices, Indices], Array] | None = field(default=None, repr=False)
    measured: NDArray[np.bool_] | None = None
    matters: Array | None = None

    @cached_property
    def std(self) -> Array:
        """Posterior standard deviation of every pair, shape (K, K, q); zero on the diagonal.

        For K = 500 and m = 2,000 these are 125,000 pairs and about a tera-operation, done in blocks: where some
        pairs are enough, ask `std_of`.
        """
        first, second = self.pairs
        std = np.zeros_like(self.values)
        std[first, second] = std[second, first] = self.std_of(first, second)
        return std

    @property
    def pairs(self) -> tuple[Indices, Indices]:
        """First and second task of every pair j < k, shape (K(K-1)/2,) each."""
        first, second = np.triu_indices(len(self.task_names), k=1)
        return first, second

    def std_of(self, first: Indices, second: Indices) -> Array:
        """Posterior standard deviations of some pairs, shape (P, q); NaN where not known.

        Examples
        --------
        >>> from kernelsm import default_surrogate, load_example
        >>> import numpy as np
        >>> pairs = default_surrogate().fit_outcomes(load_example("planted")).interactions()
        >>> pairs.std_of(np.array([8]), np.array([9])).shape
        (1, 1)
        """
        if self.pair_std is None:
            return np.full((len(first), self.values.shape[2]), np.nan)
        blocks = range(0, len(first), _PAIRS_AT_ONCE)
        done = [self.pair_std(first[i : i + _PAIRS_AT_ONCE], second[i : i + _PAIRS_AT_ONCE]) for i in blocks]
        return np.concatenate(done) if done else np.zeros((0, self.values.shape[2]))

    def strongest(self, n: int, target: str | int = 0) -> tuple[Indices, Indices]:
        """First and second task of the `n` pairs of largest magnitude for one target, strongest first.

        Of pairs that are equally strong the one with the first tasks comes first.
        """
        first, second = self.pairs
        j = self._column(target)
        strength = np.abs(self.values[first, second, j])
        if not len(strength):
            return first, second
        # magnitudes far below their standard deviation have lost digits: one of them says how large that is
        most = [int(strength.argmax())]
        size = [strength[most], self.std_of(first[most], second[most])[:, j]]
        order = rising(-strength, tolerance=tolerance_of(size))[:n]
        return first[order], second[order]

    def told_from_zero(self, target: str | int = 0, *, level: float = LEVEL, most: int = 5000) -> NDArray[np.bool_]:
        """Return which pairs differ from zero, many tests in mind, shape (K, K).

        Benjamini-Hochberg over all pairs: a share of at most 1 - `level` of the result is expected to be false.
        Only the `most` strongest pairs are tested; the others count as not told from zero, which keeps the bound.

        Examples
        --------
        >>> from kernelsm import default_surrogate, load_example
        >>> pairs = default_surrogate().fit_outcomes(load_example("planted")).interactions()
        >>> bool(pairs.told_from_zero()[8, 9])  # the XOR pair
        True
        """
        return np.asarray(self.verdicts(target, level=level, most=most) == Verdict.CLEAR)

    def verdicts(self, target: str | int = 0, *, level: float = LEVEL, most: int = 5000) -> Verdicts:
        """Return the `Verdict` of each pair, shape (K, K): as `told_from_zero`, whose rule it takes.

        Those that are not among the `most` strongest are "unclear", and so is the diagonal.

        Examples
        --------
        >>> from kernelsm import Interactions
        >>> Interactions(np.zeros((2, 2, 1)), ("a", "b"), ("test",)).verdicts().tolist()  # UNCLEAR
        [[0, 0], [0, 0]]
        """
        j = self._column(target)
        K = len(self.task_names)
        found = np.full((K, K), Verdict.UNCLEAR, dtype=np.int8)
        first, second = self.strongest(most, j)
        values, std = self.values[first, second, j], self.std_of(first, second)[:, j]
        clear = told_from_zero(values, std, self.degrees_of_freedom, level=level, tests=K * (K - 1) // 2)
        matters = None if self.matters is None else float(self.matters[j])
        found[first, second] = found[second, first] = verdicts(values, self.quantile() * std, clear, matters)
        return found

    def target(self, target: str | int) -> Interactions:
        """Return the result of one target."""
        j = [self._column(target)]
        pair_std = None if self.pair_std is None else PairStdOfTarget(self.pair_std, j[0])
        return replace(
            self, values=self.values[:, :, j], target_names=(self.target_names[j[0]],), pair_std=pair_std,
            matters=None if self.matters is None else self.matters[j],
        )  # fmt: skip

    def to_frame(self, *, std: bool = True) -> pd.DataFrame:
        """Return one row per pair and target: first, second, target, value and (unless `std` is false) std.

        Examples
        --------
        >>> from kernelsm import Interactions
        >>> import numpy as np
        >>> Interactions(np.full((2, 2, 1), 0.5), ("a", "b"), ("test",)).to_frame(std=False)
          first second target  value
        0     a      b   test    0.5
        """
        first, second = self.pairs
        q = len(self.target_names)
        names = np.array(self.task_names, dtype=object)
        frame = pd.DataFrame(
            {
                "first": np.repeat(names[first], q),
                "second": np.repeat(names[second], q),
                "target": np.tile(np.array(self.target_names, dtype=object), len(first)),
                "value": self.values[first, second].ravel(),
            }
        )
        return frame.assign(std=self.std_of(first, second).ravel()) if std else frame

    def top(self, n: int = 20, target: str | int = 0) -> pd.DataFrame:
        """Return the `n` strongest pairs for one target, strongest first: value, std, kind and words.

        Examples
        --------
        >>> from kernelsm import Interactions
        >>> import numpy as np
        >>> values = np.zeros((3, 3, 1))
        >>> values[0, 2] = values[2, 0] = -0.4
        >>> Interactions(values, ("a", "b", "c"), ("test",)).top(1)[["first", "second", "kind"]].values.tolist()
        [['a', 'c', 'synergy']]
        """
        frame, first, second = self._ranked(n, self._column(target))
        words = [self.sentence(int(a), int(b), target) for a, b in zip(first, second, strict=True)]
        return frame.assign(words=words)

    def _ranked(self, n: int, j: int) -> tuple[pd.DataFrame, Indices, Indices]:
        """The `n` strongest pairs for one target without their words, and their tasks."""
        first, second = self.strongest(n, j)
        std = self.std_of(first, second)[:, j]
        values = without_rounding(self.values[first, second, j], std)
        names = {"first": [self.task_names[a] for a in first], "second": [self.task_names[b] for b in second]}
        kinds = [interaction_word(value, self.higher_is_better) for value in values]
        return pd.DataFrame({**names, "value": values, "std": std, "kind": kinds}), first, second

    def sentence(
        self,
        j: int,
        k: int,
        target: str | int = 0,
        *,
        names: tuple[str, str] | None = None,
        clear: NDArray[np.bool_] | None = None,
    ) -> str:
        """Say what tasks `j` and `k` do together, with the 90 % interval.

        `names` replaces the tasks'; `clear` is what `told_from_zero` returned, where it is at hand.
        """
        first, second = names or (self.task_names[j], self.task_names[k])
        column = self._column(target)
        std = self.std_of(np.array([j]), np.array([k]))[:, column]
        value = without_rounding(self.values[[j], [k], column], std)
        margin, verdict = None, Verdict.CLEAR
        if self.pair_std is not None:
            told = self._told(column) if clear is None else clear
            matters = None if self.matters is None else float(self.matters[column])
            margin = float(self.quantile() * std[0])
            verdict = Verdict(verdicts(value, self.quantile() * std, told[[j], [k]], matters)[0])
        return interaction_sentence(
            first, second, float(value[0]), self.unit, self.higher_is_better, margin, verdict=verdict,
            measured=self.measured is not None and bool(self.measured[j, k]),
        )  # fmt: skip

    def _told(self, j: int) -> NDArray[np.bool_]:
        """`told_from_zero` of a target, kept: every sentence asks for it."""
        if j not in self._kept:
            self._kept[j] = self.told_from_zero(j)
        return self._kept[j]

    @cached_property
    def _kept(self) -> dict[int, NDArray[np.bool_]]:
        return {}

    def save(self, path: str | Path, *, std: bool = True) -> Path:
        """Write an .npz file without pickles; with the standard deviations of all pairs unless `std` is false."""
        arrays = {"values": self.values, "std": self.std if std else None, "measured": self.measured}
        return write_result(path, self, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            Not such a file.

        Examples
        --------
        >>> from kernelsm import Interactions
        >>> import numpy as np
        >>> path = Interactions(np.zeros((2, 2, 1)), ("a", "b"), ("test",)).save("pairs.npz")
        >>> Interactions.load(path).task_names
        ('a', 'b')
        """
        content = read_result(path, cls.__name__)
        std = content.pop("std")
        return cls(**content, pair_std=None if std is None else PairStdTable(std))

    def __repr__(self) -> str:
        return f"{self._heading()}\n{self._ranked(5, 0)[0]}"
