"""Which tasks are worth dropping: the best subset by a surrogate, and what that is honestly expected to change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from kernelsm.outcomes.measured_word import measured_word
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.checks import check_number
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import first_greatest, rising
from kernelsm.selection.any_size import Mask, Total, least_total
from kernelsm.surrogates.base import Surrogate
from kernelsm.surrogates.results import Attribution
from kernelsm.surrogates.shared import SharedSurrogate
from kernelsm.surrogates.verdicts import what_matters
from kernelsm.surrogates.wording import NOT_MEASURED, amount

Array = NDArray[np.float64]

OPTIMISM, WIDER = 0.15, 1.2
"""What choosing the best adds: half-widths by which its prediction is too good, and by which factor its interval is
too narrow. Measured on planted games, see `benchmarks/dropping.py`."""
_CLEAR = OPTIMISM + WIDER  # half-widths from which a predicted change of what was chosen is told from none
_ONE_BY_ONE = 12  # of more unclear tasks, half are put back at once
_MOST_IN_PAIRS = 60  # dropped tasks of which pairs are tried, too


@dataclass(frozen=True, eq=False)
class Drop:
    """The tasks that a surrogate would drop, and what leaving them out is expected to change.

    Parameters
    ----------
    tasks : tuple of int
        Indices of the tasks to drop, rising. Of those that the best subset lacks, the ones whose dropping surely pays
        by itself; where there are none, the fewest whose dropping surely pays together; where there are none either
        (see `is_worth_it`), those that come nearest to it.
    change : float
        F(kept) - F(all), in the outcome's unit: for a loss negative is better. What choosing the best made look too
        good is taken off.
    margin : float
        Half the width of its 90 % interval, wider than that of a subset that was not chosen. NaN where the data leave
        nothing to estimate it from.
    predicted, predicted_margin : float
        The same as the surrogate says it of any subset, chosen or not.
    all_tasks : float
        Predicted outcome of all tasks, for comparison.
    effects : Attribution
        F(with) - F(without) of each task where the others are as chosen; those of the dropped tasks are corrected as
        `change` and `margin` are.
    matters : float
        How large an effect of one task must be to matter (see `what_matters`).
    saved : float
        Cost of the dropped tasks, in the unit of the costs.
    price : float
        What a unit of cost is worth, in the outcome's unit.
    task_names : tuple of str
    higher_is_better : bool
    measure : str
        What the outcome is, in a word or two; "" is a loss or a score.

    Examples
    --------
    >>> from kernelsm import best_drop, load_example
    >>> drop = best_drop(load_example("planted"))
    >>> drop.change < 0, drop.gain > drop.margin  # the loss falls, and surely so
    (True, True)
    """

    tasks: tuple[int, ...]
    change: float
    margin: float
    predicted: float
    predicted_margin: float
    all_tasks: float
    effects: Attribution
    matters: float
    saved: float
    price: float
    task_names: tuple[str, ...]
    higher_is_better: bool
    measure: str = ""

    @property
    def gain(self) -> float:
        """What is expected to be gained, in the outcome's unit: the change for the better, and the price saved."""
        return (self.change if self.higher_is_better else -self.change) + self.price * self.saved

    @property
    def is_worth_it(self) -> bool:
        """Whether there is a gain at both ends of the interval."""
        return bool(self.tasks) and self.gain > self.margin

    @property
    def kept(self) -> Mask:
        """The subset without them, shape (K,)."""
        mask = np.ones(len(self.task_names), dtype=np.bool_)
        mask[list(self.tasks)] = False
        return mask

    def sentence(self, unit: str = "", names: tuple[str, ...] | None = None) -> str:
        """Say what to drop and what to expect; `names` replaces those of the tasks.

        Examples
        --------
        >>> from kernelsm import best_drop, load_example
        >>> best_drop(load_example("planted")).sentence("nats")
        'Drop spam (hurts): expected loss lower by ... nats.'
        """
        shown = names or self.task_names
        word = self.measure or ("score" if self.higher_is_better else "loss")
        unit = f" {unit}" if unit else ""
        if not self.tasks:
            return f"No task is worth dropping: no smaller subset is predicted to have a better {word}."
        listed = _listed([shown[k] for k in self.tasks])
        side = "lower" if self.change < 0 else "higher"
        size = amount(abs(self.change), self.margin)
        expected = f"expected {word} {side} by {size}{unit}"
        saved = f", and a cost of {self.saved:.4g} is saved" if self.saved else ""
        if self.is_worth_it:
            return f"Drop {listed}: {expected}{saved}."
        if self.gain + self.margin <= self.matters:
            return (
                f"No task is worth dropping: the most that was found is to drop {listed}, expected {word} {side} by "
                f"{size}{unit}{saved}, a gain that would not matter."
            )
        return (
            f"No task is surely worth dropping. The best that was found is to drop {listed}: {expected}{saved}. "
            f"Whether that pays is {NOT_MEASURED}."
        )


def best_drop(
    outcomes: Outcomes,
    surrogate: Surrogate | None = None,
    *,
    costs: ArrayLike | None = None,
    price: float = 0.0,
) -> Drop:
    """Find the tasks worth dropping: minimise g(s) + price · Σ cost over the subsets s (for a score, -g(s)).

    Parameters
    ----------
    outcomes : Outcomes
        Measured subsets; with several targets their mean counts.
    surrogate : Surrogate, optional
        Fitted to these outcomes, or to the mean of their targets; a `SharedSurrogate` where not given.
    costs : array-like, shape (K,), optional
        What keeping each task costs, in any unit, for example its number of samples; at least 0. One each where not
        given.
    price : float
        What a unit of cost is worth, in the outcome's unit; at least 0. With 0 costs do not matter.

    Returns
    -------
    Drop
        The same at every call.

    Raises
    ------
    InputError
        Costs or a price that are negative or not finite, costs of another number of tasks, a surrogate of several
        targets or other tasks, or subsets that all hold the same number of tasks.

    Notes
    -----
    The best of many predictions tends to look better than it is (the winner's curse). On planted games the
    prediction of the chosen subset was too good by about `OPTIMISM` half-widths, and its interval had to be `WIDER`
    times as wide to hold the truth nine times in ten (`benchmarks/dropping.py`); both are taken into account. Only
    retraining with and without the tasks tells for sure.

    Examples
    --------
    >>> from kernelsm import best_drop, load_example
    >>> drop = best_drop(load_example("planted"))
    >>> [drop.task_names[k] for k in drop.tasks], drop.is_worth_it
    (['spam (hurts)'], True)
    >>> best_drop(load_example("planted"), price=0.5).saved > 5  # most of the ten tasks are not worth 0.5 nats
    True
    """
    single = outcomes if outcomes.q == 1 else outcomes.mean_target()
    prices = _prices(costs, price, single)
    sizes = np.unique(single.masks.sum(axis=1))
    if len(sizes) == 1 and single.m > 1:
        found = f"subsets that all hold {sizes[0]} tasks"
        raise InputError("outcomes", found, "subsets of several sizes", "Drop by subsets drawn with a probability.")
    g = SharedSurrogate().fit_outcomes(single) if surrogate is None else surrogate
    check_is_fitted(g)
    if g.task_names_ != single.task_names or len(g.target_names_) != 1:
        found = f"{len(g.task_names_)} tasks and {len(g.target_names_)} targets"
        fix = "Fit it to outcomes.mean_target() or to one target."
        raise InputError("surrogate", found, f"the {single.K} tasks of the outcomes and one target", fix)
    total = Total(g, prices)
    everything = np.ones(single.K, dtype=np.bool_)
    shown = _chosen(total)
    change = float(g.predict_change(shown[None], everything)[0].ravel()[0])
    margin = float(total.change(shown[None], everything)[1][0])
    moved = 0.0 if np.isnan(margin) else OPTIMISM * margin
    effects = g.attribution("leave_one_out", at=shown)
    dropped = np.flatnonzero(~shown)
    return Drop(
        tasks=tuple(dropped.tolist()), change=change - moved if single.higher_is_better else change + moved,
        margin=WIDER * margin, predicted=change, predicted_margin=margin,
        all_tasks=float(g.predict(everything[None]).ravel()[0]), effects=_corrected(effects, dropped),
        matters=float(what_matters(single.values, single.K)[0]),
        saved=float(_costs(costs, single)[dropped].sum()) if price else 0.0,
        price=float(price), task_names=single.task_names, higher_is_better=single.higher_is_better,
        measure=measured_word(outcomes),
    )  # fmt: skip


def _corrected(effects: Attribution, dropped: NDArray[np.intp]) -> Attribution:
    """Effects with those of the dropped tasks moved towards none, and wider: they were chosen for what they are."""
    values, margin = effects.values.copy(), effects.margin()
    towards_none = np.minimum(np.nan_to_num(OPTIMISM * margin[dropped]), np.abs(values[dropped]))
    values[dropped] -= np.sign(values[dropped]) * towards_none
    if effects.std is None:
        return replace(effects, values=values)
    std = effects.std.copy()
    std[dropped] *= WIDER
    return replace(effects, values=values, std=std)


def _chosen(total: Total) -> Mask:
    """The subset that lacks what is surely better left out.

    From the best subset on, the missing tasks are put back one after the other, those first whose return costs least
    surely. The first subset is taken of whose missing tasks none, and no two, may come back without a clear loss,
    where its gain is clear; else the last one with a clear gain: the fewest tasks of which that can be said together;
    else the one that comes nearest to it.
    """
    everything = np.ones(total.K, dtype=np.bool_)
    path, all_missed = _putting_back(total, least_total(total))
    if not path:  # nothing is predicted to be better than all tasks
        return everything
    subsets = np.array(path)
    change, margin = total.change(subsets, everything)
    gains = _in_half_widths(-change, margin)
    clear = gains > _CLEAR
    if (clear & all_missed).any():
        chosen = int(np.argmax(clear & all_missed))
    elif clear.any():
        chosen = int(np.flatnonzero(clear)[-1])
    else:
        chosen = first_greatest(gains)
    best: Mask = subsets[chosen]
    return best


def _putting_back(total: Total, best: Mask) -> tuple[list[Mask], NDArray[np.bool_]]:
    """The best subset, then with ever more of its missing tasks put back, but not all; whether all are missed."""
    path, all_missed, kept = [], [], best.copy()
    while not kept.all():
        dropped = np.flatnonzero(~kept)
        groups = dropped[:, None]
        clearness = _clearness(total, kept, groups)
        unclear = int((clearness <= _CLEAR).sum())
        if not unclear and 2 <= len(dropped) <= _MOST_IN_PAIRS:
            # two that are good only together are missed one without the other, but not both
            pairs = np.array(list(combinations(dropped, 2)))
            of_pairs = _clearness(total, kept, pairs)
            if of_pairs.min() <= _CLEAR:
                groups, clearness, unclear = pairs, of_pairs, 1
        path.append(kept.copy())
        all_missed.append(not unclear)
        count = unclear // 2 if unclear > _ONE_BY_ONE else 1
        kept[groups[rising(clearness)[:count]]] = True
    return path, np.array(all_missed, dtype=np.bool_)


def _clearness(total: Total, kept: Mask, groups: NDArray[np.intp]) -> Array:
    """By how many half-widths the return of each group of tasks, shape (n, size), raises the total."""
    returned = np.repeat(kept[None], len(groups), axis=0)
    returned[np.arange(len(groups))[:, None], groups] = True
    return _in_half_widths(*total.change(returned, kept))


def _in_half_widths(changes: Array, margins: Array) -> Array:
    """Changes in units of the half-widths of their intervals: at most 1e9, and 0 where these are not known."""
    known = np.isfinite(margins)
    least = 1e-9 * np.abs(changes) + 1e-300
    return np.where(known, np.clip(changes / np.maximum(np.where(known, margins, 1.0), least), -1e9, 1e9), 0.0)


def _costs(costs: ArrayLike | None, outcomes: Outcomes) -> Array:
    """Cost of each task, checked."""
    found = np.ones(outcomes.K) if costs is None else np.asarray(costs, dtype=np.float64)
    if found.shape != (outcomes.K,):
        raise InputError("costs", f"shape {found.shape}", f"({outcomes.K},)", "Give one cost per task.")
    wrong = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if len(wrong):
        place = f"costs, {outcomes.task_names[wrong[0]]!r}"
        raise InputError(place, f"{found[wrong[0]]}", "a finite number from 0", "Write what keeping the task costs.")
    return found


def _prices(costs: ArrayLike | None, price: float, outcomes: Outcomes) -> Array:
    check_number("price", price, least=0, fix="It is what a unit of cost is worth, in the unit of the outcome.")
    return price * _costs(costs, outcomes)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
