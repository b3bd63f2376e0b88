"""What is read off a surrogate: Attribution and Interactions, with names, units and words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernelsm.surrogates.words import (
    attribution_sentence,
    effect_word,
    interaction_sentence,
    interaction_word,
)


@dataclass(frozen=True, eq=False)
class Attribution:
    """Effect of including each task, F(with) - F(without); for a loss negative helps.

    Parameters
    ----------
    values : ndarray of float64, shape (K, q)
        In the outcome's unit.
    task_names, target_names : tuple of str
    higher_is_better : bool
    meta : dict
        Which readout of which surrogate.
    """

    values: NDArray[np.float64]
    task_names: tuple[str, ...]
    target_names: tuple[str, ...]
    higher_is_better: bool = False
    meta: dict[str, Any] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """Return tasks as rows and targets as columns."""
        return pd.DataFrame(
            self.values, index=pd.Index(self.task_names, name="task"), columns=list(self.target_names)
        )

    def top(self, n: int = 20, target: int = 0) -> pd.DataFrame:
        """Return the `n` strongest tasks for one target, strongest first: value, effect and words."""
        values = self.values[:, target]
        order = np.argsort(-np.abs(values), kind="stable")[:n]
        unit = "score" if self.higher_is_better else "loss"
        return pd.DataFrame(
            {
                "task": [self.task_names[k] for k in order],
                "value": values[order],
                "effect": [effect_word(values[k], self.higher_is_better) for k in order],
                "words": [
                    attribution_sentence(self.task_names[k], values[k], unit, self.higher_is_better) for k in order
                ],
            }
        )

    def __repr__(self) -> str:
        head = f"Attribution({self.meta.get('readout', '')}, K={len(self.task_names)}, q={len(self.target_names)})"
        return f"{head}\n{self.to_frame()}"


@dataclass(frozen=True, eq=False)
class Interactions:
    """Second differences F(11) - F(10) - F(01) + F(00) of every pair; for a loss negative is synergy.

    Parameters
    ----------
    values : ndarray of float64, shape (K, K, q)
        Symmetric in the first two axes, zero on their diagonal, in the outcome's unit.
    task_names, target_names : tuple of str
    higher_is_better : bool
    meta : dict
        Which readout of which surrogate.
    """

    values: NDArray[np.float64]
    task_names: tuple[str, ...]
    target_names: tuple[str, ...]
    higher_is_better: bool = False
    meta: dict[str, Any] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per pair: first, second, then one column per target."""
        first, second = np.triu_indices(len(self.task_names), k=1)
        names = np.array(self.task_names, dtype=object)
        pairs = pd.DataFrame({"first": names[first], "second": names[second]})
        return pd.concat([pairs, pd.DataFrame(self.values[first, second], columns=list(self.target_names))], axis=1)

    def top(self, n: int = 20, target: int = 0) -> pd.DataFrame:
        """Return the `n` strongest pairs for one target, strongest first: value, kind and words."""
        first, second = np.triu_indices(len(self.task_names), k=1)
        values = self.values[first, second, target]
        order = np.argsort(-np.abs(values), kind="stable")[:n]
        unit = "score" if self.higher_is_better else "loss"
        names = [(self.task_names[first[i]], self.task_names[second[i]], values[i]) for i in order]
        return pd.DataFrame(
            {
                "first": [a for a, _, _ in names],
                "second": [b for _, b, _ in names],
                "value": values[order],
                "kind": [interaction_word(v, self.higher_is_better) for _, _, v in names],
                "words": [interaction_sentence(a, b, v, unit, self.higher_is_better) for a, b, v in names],
            }
        )

    def __repr__(self) -> str:
        head = f"Interactions({self.meta.get('readout', '')}, K={len(self.task_names)}, q={len(self.target_names)})"
        return f"{head}\n{self.top(5).drop(columns='words')}"
