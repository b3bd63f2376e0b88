"""What is said of two views: what differs and what cannot be told from zero, in a sentence, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from kernelsm.evaluation.two_views import Differences, How, PairDifferences, TwoViews
from kernelsm.surrogates.wording import NOT_MEASURED, Verdict, amount, number

SAME = "Both sides are one and the same view: nothing differs."
_MOST_NAMED = 8


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


def left_out_sentences(found: TwoViews, *, names: Callable[[str], str] = str) -> list[str]:
    """Name the tasks that one of the two alone has, a sentence for each side that has any.

    Parameters
    ----------
    found : TwoViews
    names : callable
        What is shown of a name.

    Examples
    --------
    >>> from kernelsm import Outcomes
    >>> from kernelsm.evaluation.two_views import compare_views
    >>> from kernelsm.evaluation.views import View
    >>> masks = [[1, 0], [0, 1], [1, 1], [0, 0]]
    >>> sides = (["reviews", "tweets"], ["tweets", "news"])
    >>> one, other = (View(Outcomes(masks, [1.0, 2.0, 3.0, 0.0], task_names=names), kernel="rbf") for names in sides)
    >>> left_out_sentences(compare_views(one, other))
    ['Only the first view has reviews: not compared.', 'Only the second view has news: not compared.']
    """
    said = []
    for label, tasks in (("first", found.tasks.only_first), ("second", found.tasks.only_second)):
        if tasks:
            listed = ", ".join(names(name) for name in tasks[:_MOST_NAMED])
            more = f" and {len(tasks) - _MOST_NAMED:,} more" if len(tasks) > _MOST_NAMED else ""
            said.append(f"Only the {label} view has {listed}{more}: not compared.")
    return said


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
        left_out = (
            "the intervals of both were combined by how far both move together when each subset is left out"
            if found.chooses
            else "each subset was left out of both fits in turn, with kernels and ridges as they are"
        )
        says = "The interval says how far the difference depends on which subsets were drawn."
        return f"{fitted}: {left_out}. {says}{same}"
    return "The two were measured on different subsets, so they count as independent: their variances add."


def _one_table(found: TwoViews) -> bool:
    return found.views[0].outcomes.content_hash == found.views[1].outcomes.content_hash


def _counted(differences: Differences, names: list[str], unit: str, what: str) -> str:
    """How many differ, the one that differs most, and what is known of the others."""
    codes = differences.verdicts
    clear = np.flatnonzero(codes == Verdict.CLEAR)
    no, unknown = (int((codes == code).sum()) for code in (Verdict.NO_EFFECT, Verdict.NOT_MEASURED))
    total, one = len(codes), what[:-1]
    if not len(clear):
        if total == 1:
            return f"The difference of the one {one} cannot be told from zero: it {_size(Verdict(codes[0]), 1)}."
        others = _others(no, unknown, total)
        return f"None of the {total:,} differences of {what} can be told from zero{f': {others}' if others else ''}."
    most = next(int(place) for place in differences.by_size if codes[place] == Verdict.CLEAR)
    by = amount(float(differences.values[most]), float(differences.margin[most]), signed=True)
    sides = " against ".join(
        number(float(side[most]), signed=True) for side in (differences.first, differences.second)
    )
    count = len(clear)
    how_many = (
        f"The one {one} differs"
        if total == 1
        else f"All {total:,} {what} differ"
        if count == total
        else f"{count:,} of {total:,} {what} {'differs' if count == 1 else 'differ'}"
    )
    lead = ", most" if count > 1 else ":"
    said = f"{how_many}{lead} {names[most]} by {by} ({unit}; {sides})."
    rest = _others(no, unknown, total - count)
    return f"{said} Of the other differences, {rest}." if rest else said


def _others(no: int, unknown: int, total: int) -> str:
    """How many differences are too small to matter, and how many are not known well enough; "" for none."""
    known = ((no, Verdict.NO_EFFECT), (unknown, Verdict.NOT_MEASURED))
    counted = [(count, verdict) for count, verdict in known if count]
    if len(counted) == 1 and counted[0][0] == total > 1:
        return f"all {_size(counted[0][1], total)}"
    return " and ".join(f"{count:,} {_size(verdict, count)}" for count, verdict in counted)


def _size(verdict: Verdict, count: int) -> str:
    verb = "is" if count == 1 else "are"
    known = {Verdict.NO_EFFECT: "smaller than would matter", Verdict.NOT_MEASURED: NOT_MEASURED}
    return f"{verb} {known.get(verdict, 'not known well enough')}"


def _order(found: TwoViews) -> str:
    """How far the ranks of tasks agree."""
    agreement = found.agreement
    if math.isnan(agreement.correlation):
        return "One side has no order of tasks: all its effects are equal." if len(found.tasks.names) > 1 else ""
    said = f"The ranks of tasks correlate by {agreement.correlation:.2f}"
    if math.isnan(agreement.low):
        return f"{said}."
    return f"{said} ({agreement.low:.2f} to {agreement.high:.2f})."
