"""The part of a report that sets the result beside another view: a sentence, differences with intervals, ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kernelsm.charts.attribution import MOST_BARS
from kernelsm.charts.style import Chart
from kernelsm.charts.two_views import difference_bars, difference_said, rank_scatter
from kernelsm.evaluation.two_views import Differences, TwoViews
from kernelsm.evaluation.two_views_words import (
    how_sentence,
    left_out_sentences,
    pairs_sentence,
    two_views_sentence,
)
from kernelsm.runtime.near_ties import rising
from kernelsm.surrogates.subset_distributions import Indices
from kernelsm.surrogates.wording import amount, number

_MOST_PAIRS = 15


@dataclass(frozen=True)
class Beside:
    """Two views that stand side by side in a report.

    Parameters
    ----------
    titles : (str, str)
        What the views are called.
    found : TwoViews, optional
        What `compare_views` found; None where the two cannot be compared.
    why_not : str
        Why they cannot.
    """

    titles: tuple[str, str]
    found: TwoViews | None
    why_not: str = ""

    @property
    def said(self) -> list[str]:
        """What differs, what was not compared, and how sure the differences are."""
        if self.found is None:
            return [self.why_not]
        said = [two_views_sentence(self.found), *left_out_sentences(self.found)]
        if self.found.identical:
            return said
        if self.found.pairs is not None:
            said.append(f"Pairs: {pairs_sentence(self.found, self.found.pairs)}")
        return [*said, how_sentence(self.found)] if self.found.differences is not None else said

    def chart(self) -> Chart | None:
        """The differences of effects; ranks against ranks where the two measure different things."""
        if self.found is None or self.found.identical:
            return None
        found, differences = self.found, self.found.differences
        names = found.tasks.names
        if differences is None:
            return rank_scatter(found.ranks, names, self.titles, correlation=found.agreement.correlation)
        drawn = self._order()[:MOST_BARS]
        return difference_bars(
            differences.values[drawn], [names[k] for k in drawn], margin=differences.margin[drawn],
            verdicts=differences.verdicts[drawn], unit=found.views[0].unit,
        )  # fmt: skip

    def tasks(self) -> list[dict[str, str]]:
        """A row each task, the strongest in either view first: both effects, their difference, and both ranks."""
        if self.found is None or self.found.identical:
            return []
        found = self.found
        return [
            {
                "name": found.tasks.names[k],
                "first": amount(*_with_margin(found, 0, k), signed=True),
                "second": amount(*_with_margin(found, 1, k), signed=True),
                **({} if found.differences is None else _difference(found.differences, k)),
                "ranks": " and ".join(f"{ranks[k]:g}" for ranks in found.ranks),
            }
            for k in self._order().tolist()
        ]

    def pairs(self) -> list[dict[str, str]]:
        """A row each pair, of those that differ most."""
        pairs = None if self.found is None or self.found.identical else self.found.pairs
        if self.found is None or pairs is None:
            return []
        names, written = self.found.tasks.names, partial(number, signed=True)
        return [
            {
                "name": f"{names[pairs.j[p]]} and {names[pairs.k[p]]}",
                "first": written(float(pairs.found.first[p])), "second": written(float(pairs.found.second[p])),
                **_difference(pairs.found, p),
            }
            for p in pairs.found.by_size[:_MOST_PAIRS].tolist()
        ]  # fmt: skip

    def _order(self) -> Indices:
        assert self.found is not None
        sides = [np.abs(side) / max(float(np.abs(side).max()), 1e-300) for side in self.found.effects]
        return rising(-np.maximum(*sides))


def sections(beside: Sequence[Beside]) -> tuple[list[dict[str, Any]], dict[str, Chart]]:
    """Return what the template shows of comparisons, and their charts by the name of the place of each."""
    shown: list[dict[str, Any]] = []
    charts: dict[str, Chart] = {}
    for place, one in enumerate(beside):
        name = f"beside{place}"
        chart = one.chart()
        if chart is not None:
            charts[name] = chart
        shown.append(
            {
                "titles": one.titles, "said": one.said, "chart": name if chart is not None else "",
                "differs": one.found is not None and one.found.differences is not None, "tasks": one.tasks(),
                "pairs": one.pairs(), "cut": one.found is not None and len(one.found.tasks.names) > MOST_BARS,
                "unit": "" if one.found is None else one.found.views[0].unit,
            }
        )  # fmt: skip
    return shown, charts


def _with_margin(found: TwoViews, side: int, k: int) -> tuple[float, float]:
    return float(found.effects[side][k]), float(found.margins[side][k])


def _difference(differences: Differences, place: int) -> dict[str, str]:
    return {
        "difference": amount(float(differences.values[place]), float(differences.margin[place]), signed=True),
        "verdict": difference_said(int(differences.verdicts[place])),
    }
