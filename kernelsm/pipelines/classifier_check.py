"""What is asked of a Hugging Face classifier before a project takes it: whether it reads the samples rightly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from kernelsm.estimators.recipe import Recipe
from kernelsm.models.class_matching import class_names, has_own_names, match_classes
from kernelsm.models.hugging_face import hugging_face
from kernelsm.models.own_forward import ALONE, Proof, prove, text_lengths
from kernelsm.objectives.fit_check import check_tokens
from kernelsm.tasks.suite import SEVERAL_LABELS, TaskSuite

_SAMPLES = 4
_MOST_MATCHED = 50  # classes of which a better matching is looked for
_BETTER, _BY_CHANCE = 0.2, 2.5


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


def matched(suite: TaskSuite, config: dict[str, Any], chosen: Mapping[str, int]) -> tuple[TaskSuite, dict[str, Any]]:
    """Number the classes of a suite as a classifier does, and say how they were matched.

    Parameters
    ----------
    suite : TaskSuite
        Of classes, numbered in the order of their names; `meta["classes"]` holds these. Or of several labels, whose
        order is that of the columns, and becomes the classifier's where all are called as its classes are.
    config : dict
        The classifier's config.json.
    chosen : mapping of str to int
        See `NetworkRequest`.

    Raises
    ------
    InputError
        See `match_classes`.
    """
    if suite.objective == SEVERAL_LABELS:
        return _several_matched(suite, class_names(config))
    labels, names = list(suite.meta["classes"]), class_names(config)
    if not has_own_names(names) and len(names) != len(labels):
        names = ()  # of no head, or of one that does not fit
    match = match_classes(labels, names, chosen)
    of = np.array(match.of)
    about = {"how": match.how, "labels": labels, "of": list(match.of), "names": list(names)}
    count = len(names) if match.is_known and names else len(labels)
    if count == len(labels) and (of == np.arange(count)).all():
        return suite, about
    named = list(names) or [str(number) for number in range(count)]
    for label, number in zip(labels, match.of, strict=True):
        named[number] = label
    return replace(
        suite, labels=of[suite.labels], test_labels=of[suite.test_labels], classes=count,
        meta={**suite.meta, "classes": named},
    ), about  # fmt: skip


def _several_matched(suite: TaskSuite, names: tuple[str, ...]) -> tuple[TaskSuite, dict[str, Any]]:
    labels = list(suite.objective_settings["names"])
    match = match_classes(labels, names if len(names) == len(labels) else ())
    about = {"how": match.how, "labels": labels, "of": list(match.of), "names": list(names)}
    columns = np.argsort(match.of)
    if (columns == np.arange(len(columns))).all():
        return suite, about
    return replace(
        suite, labels=suite.labels[:, columns], test_labels=suite.test_labels[:, columns],
        objective_settings={**suite.objective_settings, "names": [labels[number] for number in columns]},
    ), about  # fmt: skip


def better_matching(outputs: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, list[int]] | None:
    """How often a network would be right with its classes numbered otherwise; None where that is hardly better.

    The numbering is fitted to every second sample of each class, and judged on the others: it must be better there by
    a fifth of the samples, and by 2.5 standard deviations of what chance does.

    Parameters
    ----------
    outputs : ndarray, shape (n, C)
        Logits.
    labels : ndarray of int64, shape (n,)

    Returns
    -------
    accuracy : float
        On the samples that it is judged on.
    of : list of int
        Class of the network for each class of the labels.
    """
    count = outputs.shape[1]
    order = np.argsort(labels, kind="stable")
    fitted, judged = order[::2], order[1::2]
    if count > _MOST_MATCHED or not len(judged):
        return None
    said = outputs.argmax(axis=1)
    hits = np.zeros((count, count))
    np.add.at(hits, (labels[fitted], said[fitted]), 1)
    # of numberings that are right equally often, the one with most classes as they are
    of = linear_sum_assignment(hits + np.eye(count) / (2 * count), maximize=True)[1]
    otherwise, as_is = of[labels[judged]] == said[judged], labels[judged] == said[judged]
    better, worse = np.count_nonzero(otherwise & ~as_is), np.count_nonzero(as_is & ~otherwise)
    is_better = better - worse > max(_BETTER * len(judged), _BY_CHANCE * np.sqrt(better + worse))
    return (float(otherwise.mean()), of.tolist()) if is_better else None
