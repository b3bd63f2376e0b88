"""Two views on the command line: what Compare shows of them, as lines and as JSON types."""

from __future__ import annotations

from typing import Any

from kernelsm.evaluation.two_views import Differences, TwoViews
from kernelsm.evaluation.two_views_words import (
    how_sentence,
    left_out_sentences,
    pairs_sentence,
    two_views_sentence,
)
from kernelsm.runtime.near_ties import rising
from kernelsm.surrogates.wording import Verdict, amount


def two_views_lines(found: TwoViews, top: int) -> list[str]:
    """Say what differs, and list tasks and pairs, those that differ most first.

    Examples
    --------
    >>> from kernelsm import load_example
    >>> from kernelsm.evaluation.two_views import compare_views
    >>> from kernelsm.evaluation.views import View
    >>> outcomes = load_example("planted")
    >>> found = compare_views(View(outcomes), View(outcomes, kernel="linear"))
    >>> len(two_views_lines(found, top=3)) > 3
    True
    """
    lines = [two_views_sentence(found), *left_out_sentences(found)]
    if found.identical:
        return lines
    names, differences = found.tasks.names, found.differences
    if differences is None:
        lines.append("Ranks, 1 helps most, first and second:")
        order = rising(found.ranks[0])[:top]
        return [*lines, *(f"  {names[k]}: {found.ranks[0][k]:g} and {found.ranks[1][k]:g}" for k in order)]
    lines += [how_sentence(found), "Differences of effects, 90 % intervals:"]
    lines += [f"  {names[k]}: {_line(differences, int(k))}" for k in differences.by_size[:top]]
    pairs = found.pairs
    if pairs is not None:
        lines += [pairs_sentence(found, pairs), "Differences of interactions:"]
        for place in pairs.found.by_size[:top]:
            pair = f"{names[pairs.j[place]]} x {names[pairs.k[place]]}"
            lines.append(f"  {pair}: {_line(pairs.found, int(place))}")
    return lines


def two_views_json(found: TwoViews) -> dict[str, Any]:
    """Return the same as JSON types; NaN where something is not known."""
    differences, pairs = found.differences, found.pairs
    names = found.tasks.names
    return {
        "sentence": two_views_sentence(found),
        "how": found.how.value,
        "units": [view.unit for view in found.views],
        "only_first": list(found.tasks.only_first),
        "only_second": list(found.tasks.only_second),
        "rank_correlation": found.agreement.correlation,
        "rank_correlation_low": found.agreement.low,
        "rank_correlation_high": found.agreement.high,
        "tasks": [
            {
                "task": name,
                "first": found.effects[0][k],
                "second": found.effects[1][k],
                "first_rank": found.ranks[0][k],
                "second_rank": found.ranks[1][k],
                **({} if differences is None else _row(differences, k)),
            }
            for k, name in enumerate(names)
        ],
        "pairs": [] if pairs is None else [
            {
                "first_task": names[pairs.j[place]], "second_task": names[pairs.k[place]],
                "first": pairs.found.first[place], "second": pairs.found.second[place], **_row(pairs.found, place),
            }
            for place in range(len(pairs.j))
        ],
    }  # fmt: skip


def _line(differences: Differences, place: int) -> str:
    size = amount(float(differences.values[place]), float(differences.margin[place]), signed=True)
    sides = f"{differences.first[place]:+.3g} against {differences.second[place]:+.3g}"
    told = "" if differences.verdicts[place] == Verdict.CLEAR else "; cannot be told from zero"
    return f"{size} ({sides}{told})"


def _row(differences: Differences, place: int) -> dict[str, Any]:
    return {
        "difference": differences.values[place],
        "margin": differences.margin[place],
        "told_from_zero": bool(differences.verdicts[place] == Verdict.CLEAR),
    }
