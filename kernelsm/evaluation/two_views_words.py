"""What is said of two views: what differs and what cannot be told from zero, in a sentence, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kernelsm.evaluation.two_views import Differences, How, PairDifferences, TwoViews
from kernelsm.surrogates.wording import NOT_MEASURED, Verdict, amount, number

SAME = "Both sides are one and the same view: nothing differs."


def two_views_sentence(found: TwoViews, *, names: Sequence[str] | None = None) -> str:
    """Say what differs between two views, and what cannot be told from zero.

    Parameters
    ----------
    found : TwoViews
    names : sequence of str, optional
        Replace those of the matched tasks.

    Examples
    --------
    >>> from kernelsm import load_example
    >>> from kernelsm.evaluation.two_views import compare_views
    >>> from kernelsm.evaluation.views import View
    >>> outcomes = load_example("planted")
    >>> two_views_sentence(compare_views(View(outcomes, kernel="rbf"), View(outcomes, kernel="rbf")))
    'Both sides are one and the same view: nothing differs.'
    """
    if found.identical:
        return SAME
    shown = found.tasks.names if names is None else names
    order = _order(found)
    if found.differences is None:
        units = " and ".join(view.unit for view in found.views)
        return (
            f"The two measure different things, {units}, which cannot be subtracted: only ranks are compared. {order}"
        )
    differences = found.differences
    return f"{_counted(differences, [str(name) for name in shown], found.views[0].unit, 'tasks')} {order}"


def pairs_sentence(found: TwoViews, pairs: PairDifferences, *, names: Sequence[str] | None = None) -> str:
    """Say the same of pairs."""
    shown = found.tasks.names if names is None else names
    labels = [f"{shown[j]} × {shown[k]}" for j, k in zip(pairs.j, pairs.k, strict=True)]
    rest = pairs.total - len(labels)
    weak = f" The {rest:,} pairs that are weakest in both were not compared." if rest else ""
    return _counted(pairs.found, labels, found.views[0].unit, "pairs") + weak


def how_sentence(found: TwoViews) -> str:
    """Say what the intervals of the differences rest on.

    Examples
    --------
    >>> from kernelsm import load_example
    >>> from kernelsm.evaluation.two_views import compare_views
    >>> from kernelsm.evaluation.views import View
    >>> outcomes = load_example("planted")
    >>> two = View(outcomes, kernel="rbf"), View(outcomes, kernel="rbf", readout="shapley")
    >>> how_sentence(compare_views(*two))
    'Both are read off one fit: the interval is that of their difference, in which doubts that both share cancel.'
    """
    first, second = found.views
    if found.how is How.ONE_FIT:
        return (
            "Both are read off one fit: the interval is that of their difference, in which doubts that both share "
            "cancel."
        )
    if found.how is How.DIFFERENCES:
        anew = (
            " The default surrogate chose its kernels anew for it, so it is not exactly the first less the second."
            if first.kernel == "auto"
            else ""
        )
        return (
            "Both were measured on the same subsets: the first outcome less the second was fitted as an outcome of "
            f"its own, in which all that both share cancels.{anew}"
        )
    if found.how is How.ROWS_LEFT_OUT:
        same = (
            " Both estimate the same effects, so what differs is due to the surrogates."
            if first.one_target == second.one_target and first.same_readout(second) and _one_table(found)
            else ""
        )
        fitted = (
            "Both were fitted to the same subsets"
            if first.outcomes.m == second.outcomes.m
            else "One was fitted to the first subsets of the other"
        )
        return (
            f"{fitted}: each subset was left out of both fits in turn, with kernels and ridges as they are. The "
            f"interval says how far the difference depends on which subsets were drawn.{same}"
        )
    return "The two were measured on different subsets, so they count as independent: their variances add."


def _one_table(found: TwoViews) -> bool:
    return found.views[0].outcomes.content_hash == found.views[1].outcomes.content_hash


def _counted(differences: Differences, names: list[str], unit: str, what: str) -> str:
    """How many differ, the one that differs most, and what is known of the others."""
    codes = differences.verdicts
    clear = np.flatnonzero(codes == Verdict.CLEAR)
    no, unknown = (int((codes == code).sum()) for code in (Verdict.NO_EFFECT, Verdict.NOT_MEASURED))
    one = what[:-1]
    others = [
        part
        for count, part in (
            (no, f"{no:,} by less than would matter"),
            (unknown, f"for {unknown:,} it is {NOT_MEASURED}"),
        )
        if count
    ]
    rest = (
        f" The other {'differences' if no + unknown > 1 else 'difference'}: {' and '.join(others)}." if others else ""
    )
    if not len(clear):
        head = f"The difference cannot be told from zero for any of the {len(codes):,} {what}"
        if len(codes) == 1:
            head = f"The difference of the one {one} cannot be told from zero"
        if not others:
            return f"{head}."
        return f"{head}: {' and '.join(others)}."
    by_size = [int(place) for place in differences.by_size if codes[place] == Verdict.CLEAR]
    most = by_size[0]
    size = amount(float(differences.values[most]), float(differences.margin[most]), signed=True)
    sides = " against ".join(
        number(float(side[most]), signed=True) for side in (differences.first, differences.second)
    )
    how_many = (
        f"All {len(codes):,} {what} differ"
        if len(clear) == len(codes) > 1
        else f"{len(clear):,} of {len(codes):,} {what} differ"
    )
    if len(clear) == 1:
        how_many = f"1 of {len(codes):,} {what} differs" if len(codes) > 1 else f"The one {one} differs"
    lead = ", most" if len(clear) > 1 else ":"
    return f"{how_many}{lead} {names[most]} by {size} ({unit}; {sides}).{rest}"


def _order(found: TwoViews) -> str:
    """How far the ranks of tasks agree."""
    agreement = found.agreement
    if math.isnan(agreement.correlation):
        return "One side has no order of tasks: all its effects are equal." if len(found.tasks.names) > 1 else ""
    said = f"The ranks of tasks correlate by {agreement.correlation:.2f}"
    if math.isnan(agreement.low):
        return f"{said}."
    return f"{said} ({agreement.low:.2f} to {agreement.high:.2f})."
