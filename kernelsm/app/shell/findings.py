"""What a page says of effects and pairs: headline, caption, and the sentence of one, all by the same verdicts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernelsm.app.shell.sentences import pair_sentence, task_sentence
from kernelsm.surrogates.reading import Readout
from kernelsm.surrogates.verdicts import Verdicts
from kernelsm.surrogates.wording import NOT_MEASURED, Verdict, number

WHAT_MATTERS = (
    "**Told from zero**: with all that stand beside it in mind (Benjamini-Hochberg); at most about one in ten of "
    "these is chance. **Would matter**: as much as the mean distance of the outcomes from their median, divided by "
    "the root of the number of tasks, or more; if all tasks did the same, each would do about 2.5 times that. **No "
    "effect**: the whole interval is smaller. **Not measured well enough yet**: the interval holds zero, and effects "
    "that would matter as well. Intervals are of the outcomes as they were given: how far GradEx is from retraining "
    "stands on Gradients."
)


def headline_task(readout: Readout) -> int | None:
    """The task of the largest effect among those told from zero; None where there is none."""
    by_size = readout.attribution.strongest(len(readout.task_verdicts))
    return next((int(k) for k in by_size if readout.task_verdicts[k] == Verdict.CLEAR), None)


def headline_pair(readout: Readout) -> tuple[int, int] | None:
    """The pair of the largest interaction among those told from zero; None where there is none."""
    return listed_pairs(readout, 1)[0] if readout.clear.any() else None


def listed_pairs(readout: Readout, count: int) -> list[tuple[int, int]]:
    """The pairs of a list: those told from zero first, by size, then the others by size."""
    first, second = readout.ranked_pairs
    return list(zip(first[:count].tolist(), second[:count].tolist(), strict=True))


def said_of_task(readout: Readout, k: int) -> str:
    """What including task k does, in a sentence."""
    return task_sentence(readout.attribution, k)


def said_of_pair(readout: Readout, j: int, k: int) -> str:
    """What tasks j and k do together, in a sentence."""
    return pair_sentence(readout.interactions, j, k, clear=readout.clear)


def tasks_headline(readout: Readout) -> str:
    """The sentence above the bars: the largest effect told from zero, or that there is none."""
    k = headline_task(readout)
    if k is None and len(readout.task_verdicts) == 1:
        k = 0
    found = readout.task_verdicts
    return _none_is_clear(found, len(found), "effects") if k is None else said_of_task(readout, k)


def pairs_headline(readout: Readout) -> str:
    """The sentence above the heatmap: the largest interaction told from zero, or that there is none."""
    pair = headline_pair(readout)
    if pair is None and len(readout.task_verdicts) == 2:
        pair = (0, 1)
    if pair is None:
        return _none_is_clear(_of_pairs(readout), _count_pairs(readout), "pairs")
    return said_of_pair(readout, *pair)


def tasks_caption(readout: Readout, *, estimated: bool = False) -> str:
    """What the bars show: how many are clear, why the others are pale, and what is measured.

    `estimated` are outcomes that GradEx estimates: what whiskers say then is how well its estimates are known.
    """
    found, effects = readout.task_verdicts, readout.attribution
    parts = []
    clear = int((found == Verdict.CLEAR).sum())
    if clear and len(found) > 1:
        how_many = f"All {clear}" if clear == len(found) else f"{clear} of {len(found)}"
        parts.append(f"{how_many} effects can be told from zero, with all of them in mind.")
    pale = _others(found, readout.matters, "no effect")
    parts += [f"Pale: {pale[0]}."] if pale[0] else []
    parts += [f"Hatched: {pale[1]}."] if pale[1] else []
    if effects.std is not None and np.any(effects.std):
        of = ", to which GradEx's own error comes" if estimated else ""
        parts.append(f"Whiskers are 90% intervals{of}.")
    if effects.measured is not None and effects.measured.any():
        parts.append(_measured(effects.measured, "effects"))
    return " ".join(parts)


def pairs_caption(readout: Readout) -> str:
    """What the heatmap shows: how many pairs are clear, why the others are veiled, and what is measured.

    "" where every interaction is exactly zero.
    """
    if not readout.interactions.values.any():
        return ""
    found, measured = _of_pairs(readout), readout.interactions.measured
    total = _count_pairs(readout)
    parts = []
    clear = int((found == Verdict.CLEAR).sum())
    if clear and total > 1:
        how_many = f"All {clear:,}" if clear == total else f"{clear:,} of {total:,}"
        exact = measured is not None and bool(measured[readout.ranked_pairs].all())
        of_chance = "" if exact or clear == 1 else "; with so many looked at, about one in ten of these may be chance"
        parts.append(f"{how_many} pairs can be told from zero{of_chance}.")
    veiled = [part for part in _others(found, readout.matters, "no interaction") if part]
    parts += [f"Veiled: {' and '.join(veiled)}."] if veiled else []
    if readout.tested < total:
        parts.append(f"The {total - readout.tested:,} weakest were not tested, and are veiled too.")
    if measured is not None and (read := measured[np.triu_indices(len(measured), k=1)]).any():
        parts.append(_measured(read, "pairs"))
    return " ".join(parts)


def _count_pairs(readout: Readout) -> int:
    return len(readout.task_verdicts) * (len(readout.task_verdicts) - 1) // 2


def _of_pairs(readout: Readout) -> Verdicts:
    """Verdicts of the pairs that were tested."""
    return np.asarray(readout.pair_verdicts[readout.ranked_pairs])


def _none_is_clear(found: Verdicts, total: int, what: str) -> str:
    """Say that none of so many can be told from zero, and why; `found` are those that were tested."""
    no, unknown = (int((found == verdict).sum()) for verdict in (Verdict.NO_EFFECT, Verdict.NOT_MEASURED))
    if no == len(found):
        return f"**None of the {total:,} {what} is large enough to matter.**"
    head = f"**None of the {total:,} {what} can be told from zero**"
    if unknown == total:
        return f"{head}: all are {NOT_MEASURED}."
    among = f"of the {len(found):,} strongest " if len(found) < total else ""
    return f"{head}: {among}{no:,} would not matter, {unknown:,} {'is' if unknown == 1 else 'are'} {NOT_MEASURED}."


def _others(found: Verdicts, matters: float, none: str) -> tuple[str, str]:
    """How many are no effect, and how many are not measured well enough; "" for none."""
    no, unknown = (int((found == verdict).sum()) for verdict in (Verdict.NO_EFFECT, Verdict.NOT_MEASURED))
    within = f" (all of the interval within ± {number(matters, digits=2)})" if matters else ""
    return (
        f"{no:,} with {none} that would matter{within}" if no else "",
        f"{unknown:,} {NOT_MEASURED}" if unknown else "",
    )


def _measured(read: NDArray[np.bool_], what: str) -> str:
    """Say how many values were read from measured rows."""
    how_many = f"All {what} are" if read.all() else f"{int(read.sum()):,} of {len(read):,} {what} are"
    return f"{how_many} **measured**: read from measured rows, with nothing predicted."
