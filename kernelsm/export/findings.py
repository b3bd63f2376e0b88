"""What a result says, in plain sentences and rows: for reports and the command line, with names as they are."""

from __future__ import annotations

import numpy as np

from kernelsm.export.result import Result
from kernelsm.surrogates.reading import task_size_of
from kernelsm.surrogates.wording import NOT_MEASURED, Verdict, number, percent, ranged

KERNEL_NAMES = {
    "auto": "auto: chooses kernels, ridges and what targets share by itself", "rbf": "RBF", "poly": "quadratic",
    "linear": "linear: no interactions",
}  # fmt: skip


def headlines(result: Result) -> list[str]:
    """The verdict in sentences: the largest effect and the largest interaction told from zero, or that there is none.

    Names stand in them as they are.
    """
    readout, K = result.readout, result.outcomes.K
    found = readout.attribution
    clear = [int(k) for k in found.strongest(K) if readout.task_verdicts[k] == Verdict.CLEAR]
    size = task_size_of(result.outcomes, result.settings.readout)
    said = [found.sentence(clear[0])] if clear else ["No effect of a task can be told from zero."]
    if size:
        said[0] += f" Each subset holds {size} tasks: one that is in takes the place of another."
    said.append(f"{len(clear)} of {K} effects can be told from zero, with all of them in mind.")
    if K < 2:
        return said
    total = K * (K - 1) // 2
    if not readout.clear.any():
        return [*said, f"None of the {total:,} interactions of pairs can be told from zero."]
    first, second = readout.ranked_pairs
    said.append(readout.interactions.sentence(int(first[0]), int(second[0]), clear=readout.clear))
    count = int(readout.clear.sum()) // 2
    said.append(
        f"{count:,} of {total:,} interactions of pairs can be told from zero"
        + ("; about one in ten of these may be chance." if count > 1 else ".")
    )
    return said


def fidelity_sentence(result: Result) -> str:
    """Say how well the surrogate predicts what it has not seen."""
    found = result.fidelity
    if found is None:
        return "There are too few subsets to hold any out: how well the surrogate predicts is not known."
    if not np.isfinite(found.lds.first):
        return "The held-out outcomes do not vary, or are too few: how well the surrogate predicts is not known."
    rank = f"its predictions rank them with an LDS of {found.lds.first:.3f} (1 is the perfect order, 0 is none)"
    error = f"are off by {percent(found.relative_error.first)} on average"
    return f"On {found.tested} subsets that were not fitted, {rank} and {error}."


def fidelity_rows(result: Result) -> list[tuple[str, str]]:
    """What is known of the fidelity, in names and values."""
    found = result.fidelity
    if found is None:
        return []
    lds, error = found.lds, found.relative_error
    rows = [
        ("Tested on", f"{found.tested} subsets: {found.tested_on}"),
        ("Fitted", f"{found.fitted} subsets"),
        ("LDS of this surrogate", _number(lds.first)),
        ("LDS of the tuned linear surrogate", _number(lds.second)),
        ("Difference of LDS, 90 % interval", ranged(lds.gain, lds.low, lds.high, signed=True)),
        ("Relative error of this surrogate", percent(error.first)),
        ("Relative error of the tuned linear surrogate", percent(error.second)),
        (
            "Difference of relative errors, 90 % interval",
            f"{ranged(100 * error.gain, 100 * error.low, 100 * error.high, signed=True)} percentage points",
        ),
    ]
    if np.isfinite(found.coverage):
        rows.append(("Held-out outcomes inside their 90 % intervals", f"{found.coverage:.0%}"))
    return [(name, value if "nan" not in value else "not known") for name, value in rows]


def not_told(result: Result) -> list[tuple[str, list[str]]]:
    """Tasks and pairs that cannot be told from zero, by why not; of many the strongest are named."""
    readout, names = result.readout, result.outcomes.task_names
    within = f" (all of the interval within ± {number(readout.matters, digits=2)})" if readout.matters else ""
    reasons = {
        Verdict.NO_EFFECT: f"no effect that would matter{within}", Verdict.NOT_MEASURED: NOT_MEASURED,
        Verdict.UNCLEAR: "not told from zero",
    }  # fmt: skip
    found = []
    for verdict, reason in reasons.items():
        tasks = [names[k] for k in result.readout.attribution.strongest(len(names))
                 if readout.task_verdicts[k] == verdict]  # fmt: skip
        if tasks:
            found.append((f"{len(tasks)} of {len(names)} tasks: {reason}", _few(tasks)))
    if len(names) < 2:
        return found
    first, second = readout.ranked_pairs
    codes = readout.pair_verdicts[first, second]
    for verdict, reason in reasons.items():
        places = np.flatnonzero(codes == verdict)
        if len(places):
            said = reason.replace("no effect", "no interaction")
            pairs = [f"{names[first[at]]} and {names[second[at]]}" for at in places[:12]]
            found.append((f"{len(places):,} pairs: {said}", _few(pairs, len(places))))
    total = len(names) * (len(names) - 1) // 2
    if readout.tested < total:
        found.append((f"{total - readout.tested:,} pairs: the weakest, which were not tested", []))
    return found


def _few(names: list[str], total: int | None = None) -> list[str]:
    count = len(names) if total is None else total
    return names if count <= 12 else [*names[:12], f"and {count - 12:,} more"]


def _number(value: float) -> str:
    return f"{value:.3f}"
