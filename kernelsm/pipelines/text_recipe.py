"""How a language model is fine-tuned on a user's texts, where they do not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kernelsm.runtime.checks import check_counts
from kernelsm.runtime.errors import InputError
from kernelsm.workspace.requests import NetworkRequest

PULL = 0.01
"""Usual pull towards W0 of GradEx, in place of fine-tuning's early end."""
RANK = 8
LAYERS_OF_PACKAGED = 6
"""Of the packaged model the last layers alone get adapters: on a processor that takes a fraction of the time."""
FIRST = {"epochs": 3, "learning_rate": 2e-3, "batch_size": 16}
"""Arguments of `train_base`: a few times over all texts, so that W0 has seen every kind and subsets still move it."""
SUBSETS = {"epochs": 2, "learning_rate": 2e-3, "batch_size": 16, "ridge": 0.0}
"""Arguments of `FineTuning`; it ends early, and is not pulled."""


def text_settings(model: NetworkRequest, folder: Path | None) -> dict[str, Any]:
    """Return architecture, configuration and training of a recipe for text that follows.

    Parameters
    ----------
    model : NetworkRequest
    folder : Path, optional
        Of the language model; the packaged one if not given.

    Raises
    ------
    InputError
        A network that is no language model, or a number out of its range.
    """
    if model.origin == "weights":
        fix = "Take the packaged language model, a folder, or a name on the hub."
        raise InputError("model", "weights of a built-in network", "a language model, which continues text", fix)
    rank = RANK if model.rank is None else model.rank
    check_counts(rank=rank)
    if unknown := sorted(set(model.training) - set(FIRST)):
        fix = "Leave it out."
        raise InputError("training", repr(unknown[0])[:80], ", ".join(FIRST), fix)
    return {
        "architecture": "causal_text",
        "config": {
            "rank": rank,
            "alpha": 2 * rank,
            **({"folder": str(folder)} if folder else {"layers": LAYERS_OF_PACKAGED}),
        },
        "training": {**FIRST, **{name: value for name, value in model.training.items() if name != "epochs"}},
        "retraining": {**SUBSETS, **model.training},
    }
