"""What rival attribution methods say on the examples, for table 3 and the claim of leave-one-out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernelsm.evaluation.method_scores import MethodAnswer
from kernelsm.examples.catalog import PROMPT_EXAMPLES, load_example
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


ON_PROMPTS = {
    "influence functions": "prompt_influence", "TracIn": "prompt_tracin", "TRAK": "prompt_trak",
    "gradient times embeddings": "prompt_first_order",
}  # fmt: skip
"""The same on the embeddings of prompts, and names in the catalog of `kernelsm.prompts`."""


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


def rivals_on_prompts(store: Store, report: Report = silent) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Ask for the gradients at anchor prompts of the built-in prompt tasks, or take them from the store.

    Returns
    -------
    dict
        Example -> name in `ON_PROMPTS` -> its predictions (m, q) of all subsets of the example: none of its outcomes
        was seen.
    """
    from kernelsm.models.language_model import load_language_model
    from kernelsm.prompts.embedding_gradients import EmbeddingGradients
    from kernelsm.prompts.method_catalog import PROMPT_METHODS

    found = {}
    for name, example in PROMPT_EXAMPLES.items():
        gradients, masks = EmbeddingGradients(example.make(), load_language_model), load_example(name).masks
        found[name] = {
            title: PROMPT_METHODS[method].make(gradients).predict(masks, store=store, report=report)
            for title, method in ON_PROMPTS.items()
        }
    return found
