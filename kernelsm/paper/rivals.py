"""What rival attribution methods say on the examples, for table 3 and the claim of leave-one-out."""

from __future__ import annotations

from collections.abc import Sequence

from kernelsm.evaluation.method_scores import MethodAnswer
from kernelsm.pipelines.compare import CompareSettings, compare
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import Store

COMPARED = ("digits", "sentiment")
"""Examples on which rivals take minutes."""
METHODS = {
    "influence functions": "influence_lissa", "TracIn": "tracin_checkpoints", "TRAK": "trak_tasks", "BIF": "bif",
    "exact influence functions": "influence_exact", "MAGIC": "magic",
}  # fmt: skip
"""Names in the tables, and in the catalog of `kernelsm.attributors`; SOURCE takes too long to be among them."""


def rival_answers(
    store: Store, report: Report = silent, examples: Sequence[str] = COMPARED
) -> dict[str, dict[str, MethodAnswer]]:
    """Run the rivals, each with its documented settings, or take what they said before from the store.

    Returns
    -------
    dict
        Example -> name in `METHODS` -> its effects (K, q) and its predictions of the truth's subsets (m, q).
    """
    found = {}
    for example in examples:
        answers = compare(CompareSettings(example, tuple(METHODS.values())), report, store).answers
        found[example] = {name: answers[method] for name, method in METHODS.items() if method in answers}
    return found
