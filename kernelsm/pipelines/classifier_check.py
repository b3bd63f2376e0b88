"""What is asked of a Hugging Face classifier before a project takes it: whether it reads the samples rightly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from kernelsm.estimators.recipe import Recipe
from kernelsm.models.hugging_face import hugging_face
from kernelsm.models.own_forward import ALONE, Proof, prove, text_lengths
from kernelsm.objectives.fit_check import check_tokens
from kernelsm.tasks.suite import TaskSuite

_SAMPLES = 4


def proved(recipe: Recipe, suite: TaskSuite) -> tuple[Recipe, Proof]:
    """Compare a recipe's classifier with its own forward call on some samples; return it with the way that agrees.

    Raises
    ------
    InputError
        The network does not fit the samples, or no way gives the logits of its own forward call.
    """
    model = hugging_face(**{**recipe.config, "reading": ALONE})
    check_tokens(model, suite)
    place = f"model {Path(recipe.config['folder']).name!r}"
    proof = prove(model, _some_samples(suite, model.pad_id), place)
    return replace(recipe, config={**recipe.config, "reading": proof.reading}), proof


def _some_samples(suite: TaskSuite, pad_id: int) -> torch.Tensor:
    """A few samples: the longest, the shortest, and those between by length, training and test samples alike."""
    tokens = torch.from_numpy(np.concatenate([suite.inputs, suite.test_inputs]))
    order = text_lengths(tokens, pad_id).argsort(descending=True, stable=True)
    rows = np.unique(np.linspace(0, len(order) - 1, _SAMPLES).astype(np.intp))
    return tokens[order[torch.from_numpy(rows)]]
