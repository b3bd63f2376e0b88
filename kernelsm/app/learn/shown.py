"""What a lesson's view shows, computed from the library: rows of numbers with 90 % intervals, and a known truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kernelsm.app.learn.lesson import Lesson, LessonView, Number
from kernelsm.evaluation.metrics import lds
from kernelsm.examples.catalog import EXAMPLES, load_example, load_example_orders, load_truth
from kernelsm.examples.planted.game import planted_game
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.checks import check_choice, shown
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.auto import AutoSurrogate
from kernelsm.surrogates.base import AttributionKind, Surrogate
from kernelsm.surrogates.kernel import KernelSurrogate, KernelSurrogateCV
from kernelsm.surrogates.linear import LinearSurrogateCV
from kernelsm.surrogates.results import interval_quantile
from kernelsm.surrogates.wording import LEVEL, amount

Array = NDArray[np.float64]
SERIES_NAMES = {"leave_one_out": "leave one out", "shapley": "Shapley"}
TRAINING, HELD_OUT, RANKS = "error on fitted subsets", "error on held-out subsets", "rank correlation (LDS)"
THIS_ORDER, TWO_ORDERS = "this order", "two orders of one subset, median"
_RESAMPLES = 400


@dataclass(frozen=True)
class Series:
    """Numbers of one kind: `values` and `margins` (half-widths of 90 % intervals), one for each row."""

    name: str
    values: Array
    margins: Array


@dataclass(frozen=True)
class Shown:
    """What a view shows.

    Parameters
    ----------
    rows : tuple of str
        What the numbers are of: tasks, pairs, scores; "" for the one row of a single number.
    series : tuple of Series
    unit : str
        Of the numbers, for the axis.
    truth : ndarray, optional
        True values, one for each row.
    lines : tuple of str
        Texts of the prompt, in its order.
    """

    rows: tuple[str, ...]
    series: tuple[Series, ...]
    unit: str
    truth: Array | None = None
    lines: tuple[str, ...] = ()


def show(view: LessonView) -> Shown:
    """Compute what a view shows.

    Raises
    ------
    InputError
        It names a task, or a prompt, that its example does not have.
    """
    if view.kind == "order":
        return _order(view)
    outcomes = _outcomes(view.run)
    match view.kind:
        case "fit":
            return _fit(view)
        case "attributions":
            return _attributions(view, outcomes)
        case "interactions":
            return _interactions(view, outcomes)
    kept = np.ones((1, outcomes.K), dtype=np.bool_)
    kept[0, [_task(name, outcomes) for name in view.off]] = False
    full = np.ones_like(kept)
    surrogate = surrogate_of(view.run, view.kernel, view.gamma, view.ridge, view.subsets)
    loss = view.kind == "loss"
    value, std = surrogate.predict(kept, return_std=True) if loss else surrogate.predict_change(kept, full[0])
    truth = None
    if view.truth:
        game = planted_game()
        truth = game.truth(kept) - (0.0 if loss else game.truth(full))
    unit = "loss, nats" if loss else "change of the loss, nats"
    return Shown(("",), (Series("predicted", np.ravel(value), _margin(surrogate, std)),), unit, truth)


def number_of(lesson: Lesson, number: Number, shown_at: Sequence[Shown]) -> tuple[float, float]:
    """Return a number of a lesson and the half-width of its interval; `shown_at` is what each position shows.

    Raises
    ------
    InputError
        The view has no such row or series.
    """
    found = shown_at[number.at]
    if number.change:
        found = show(replace(lesson.positions[number.at].view, kind="change"))
    place = f"{lesson.place}, number {number.name}"
    row = found.rows.index(number.row) if number.row in found.rows else None
    if row is None:
        raise InputError(f"{place}, row", shown(number.row), " or ".join(map(repr, found.rows)), "Change this field.")
    names = [series.name for series in found.series]
    name = number.series or names[0]
    check_choice(f"{place}, series", name, names)
    series = found.series[names.index(name)]
    return float(series.values[row]), float(series.margins[row])


def right_number(lesson: Lesson, shown_at: Sequence[Shown]) -> float:
    """Return the number that a lesson asks for; NaN where it asks for an answer in words."""
    right = lesson.prediction.right
    if not isinstance(right, str):
        return np.nan
    value, margin = number_of(lesson, lesson.numbers[right], shown_at)
    return margin if lesson.numbers[right].margin else value


def words_of(lesson: Lesson, shown_at: Sequence[Shown]) -> dict[str, str]:
    """Return a lesson's numbers in words, by name."""
    words = {}
    for name, number in lesson.numbers.items():
        value, margin = number_of(lesson, number, shown_at)
        words[name] = f"± {margin:.2g}" if number.margin else amount(value, margin, signed=number.signed)
    return words


@lru_cache(maxsize=8)
def _outcomes(run: str) -> Outcomes:
    found = load_example(run)
    return found if found.q == 1 else found.mean_target()


@lru_cache(maxsize=32)
def surrogate_of(run: str, kernel: str, gamma: float | None, ridge: float, subsets: int | None) -> Surrogate:
    """Return the surrogate of an example's first subsets, or of all of them, fitted to the mean over its targets."""
    outcomes = _outcomes(run)
    if subsets is not None:
        outcomes = outcomes.take(range(min(subsets, outcomes.m)))
    new: Surrogate
    if kernel == "auto":
        new = AutoSurrogate(scales=("identity",))
    elif kernel == "linear":
        new = LinearSurrogateCV()
    else:
        new = KernelSurrogateCV() if gamma is None else KernelSurrogate(gamma=gamma, ridge=ridge)
    return new.fit_outcomes(outcomes)


def _margin(surrogate: Surrogate, std: Any) -> Array:
    return np.asarray(interval_quantile(surrogate.degrees_of_freedom_, LEVEL) * np.ravel(std))


def _task(name: str, outcomes: Outcomes) -> int:
    check_choice("task of a lesson", name, outcomes.task_names)
    return outcomes.task_names.index(name)


def _shown_name(name: str, view: LessonView) -> str:
    return name.partition(" (")[0] if view.short_names else name


def _attributions(view: LessonView, outcomes: Outcomes) -> Shown:
    surrogate = surrogate_of(view.run, view.kernel, view.gamma, view.ridge, view.subsets)
    tasks = [_task(name, outcomes) for name in view.tasks] or list(range(outcomes.K))
    series = []
    for readout in view.readouts:
        found = surrogate.attribution(cast(AttributionKind, readout))
        series.append(Series(SERIES_NAMES[readout], np.ravel(found.values)[tasks], np.ravel(found.margin())[tasks]))
    truth = planted_game().attribution()[tasks] if view.truth else None
    names = tuple(_shown_name(outcomes.task_names[k], view) for k in tasks)
    return Shown(names, tuple(series), "← helps   F(with) - F(without), nats   hurts →", truth)


def _interactions(view: LessonView, outcomes: Outcomes) -> Shown:
    surrogate = surrogate_of(view.run, view.kernel, view.gamma, view.ridge, view.subsets)
    first, second = (np.array([_task(pair[i], outcomes) for pair in view.pairs]) for i in (0, 1))
    found = surrogate.interactions("second_difference")
    values = found.values.reshape(outcomes.K, outcomes.K)[first, second]
    margins = np.ravel(found.quantile() * found.std_of(first, second))
    truth = planted_game().interactions()[first, second] if view.truth else None
    names = tuple(" and ".join(_shown_name(name, view) for name in pair) for pair in view.pairs)
    return Shown(
        names, (Series("estimated", values, margins),), "← synergy   redundancy →<br>interaction, nats", truth
    )


def _fit(view: LessonView) -> Shown:
    """Share of the outcomes' variance left unexplained, and ranks, on fitted subsets and on those never fitted."""
    fitted, truth = _outcomes(view.run), load_truth(view.run)
    if view.subsets is not None:
        fitted = fitted.take(range(min(view.subsets, fitted.m)))
    seen = {mask.tobytes() for mask in _outcomes(view.run).masks}
    truth = truth if truth.q == 1 else truth.mean_target()
    held_out = truth.take([row for row, mask in enumerate(truth.masks) if mask.tobytes() not in seen])
    surrogate = surrogate_of(view.run, view.kernel, view.gamma, view.ridge, view.subsets)
    found = []
    for table in (fitted, held_out):
        missed = (np.ravel(surrogate.predict(table.masks)) - table.values[:, 0]) ** 2 / table.values.var()
        half = interval_quantile(len(missed) - 1, LEVEL) * missed.std(ddof=1) / np.sqrt(len(missed))
        found.append((float(missed.mean()), float(half)))
    predicted = np.ravel(surrogate.predict(held_out.masks))[:, None]
    found.append(_ranks(held_out.values, predicted))
    values, margins = np.array(found).T
    return Shown((TRAINING, HELD_OUT, RANKS), (Series("measured", values, margins),), "share of the variance missed")


def _ranks(observed: Array, predicted: Array) -> tuple[float, float]:
    """LDS, and half the width of its interval by resampling subsets (bootstrap, percentiles)."""
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, len(observed), len(observed)) for _ in range(_RESAMPLES)]
    scores = [lds(observed[rows], predicted[rows]) for rows in drawn]
    low, high = np.quantile(scores, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(lds(observed, predicted)), float(high - low) / 2


def _order(view: LessonView) -> Shown:
    orders = load_example_orders(view.run)
    assert orders is not None
    measured = orders.orders.tolist()
    if list(view.order) not in measured:
        fix = "Take one of the orders of that example's orders.npz."
        raise InputError("order of a lesson", shown(list(view.order)), "a prompt that was measured", fix)
    losses = orders.values[measured.index(list(view.order))]
    half = interval_quantile(len(losses) - 1, LEVEL) * losses.std(ddof=1) / np.sqrt(len(losses))
    spreads = np.array([np.ptp(each.mean(axis=1)) for each in orders.by_subset()])
    rng = np.random.default_rng(0)
    medians = np.median(spreads[rng.integers(0, len(spreads), (_RESAMPLES, len(spreads)))], axis=1)
    low, high = np.quantile(medians, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    series = Series(
        "measured",
        np.array([losses.mean(), np.median(spreads)]),
        np.array([half, (high - low) / 2], dtype=np.float64),
    )
    names = load_example(view.run).task_names
    return Shown((THIS_ORDER, TWO_ORDERS), (series,), "loss, nats", lines=tuple(names[k] for k in view.order))


def check_shows(lesson: Lesson) -> None:
    """Check that a lesson's example has the tasks and prompts that its views name, without fitting anything.

    Raises
    ------
    InputError
        Names the file and the position.
    """
    for position in lesson.positions:
        view = position.view
        place = f"{lesson.place}, position {position.label}"
        if view.truth and view.run != "planted":
            fix = "Leave `truth` out, or take the run planted."
            raise InputError(f"{place}, truth", "true", "an example whose effects are known", fix)
        if view.run in EXAMPLES:
            for name in (*view.off, *view.tasks, *(name for pair in view.pairs for name in pair)):
                check_choice(f"{place}, task", name, _outcomes(view.run).task_names)
        if view.kind == "interactions" and not view.pairs:
            raise InputError(f"{place}, pairs", "nothing", "pairs of tasks", "Add this field to the view.")
        if view.kind == "order":
            _order(view)
