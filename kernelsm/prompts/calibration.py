"""Calibration of label words (Zhao et al. 2021): what a model leans to, whatever it is asked, is taken off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.runtime.errors import InputError

CONTENT_FREE = ("N/A", "", "[MASK]")
"""Texts that say nothing for any label: those of the paper."""


def calibrated(
    log_probabilities: NDArray[np.float64], content_free_log_probabilities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Take what a model leans to off the log-probabilities of label words.

    After the same demonstrations the model is asked about texts that say nothing. What it then answers is its
    leaning: with p_cf, the mean of its probabilities over those texts, log p becomes log p - log p_cf, normalised
    anew. Where the model says p_cf, all labels are so equally probable.

    Parameters
    ----------
    log_probabilities : ndarray, shape (q, labels)
        In nats, of each label word after each query, normalised over the labels.
    content_free_log_probabilities : ndarray, shape (c, labels)
        The same after the content-free queries; see `content_free_queries`.

    Returns
    -------
    ndarray, shape (q, labels)
        In nats, normalised over the labels.

    Raises
    ------
    InputError
        As `label_offsets`, or another number of labels than there.

    References
    ----------
    Zhao, Wallace, Feng, Klein and Singh (2021), *Calibrate before use: improving few-shot performance of language
    models*, ICML, section 5.

    Examples
    --------
    >>> found = calibrated(np.log([[0.8, 0.2], [0.9, 0.1]]), np.log([[0.7, 0.3], [0.9, 0.1]]))
    >>> np.exp(found).round(3).tolist()
    [[0.5, 0.5], [0.692, 0.308]]
    """
    offsets = label_offsets(content_free_log_probabilities)
    found = np.asarray(log_probabilities, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != len(offsets):
        raise InputError(
            "log-probabilities", f"shape {found.shape}", f"(queries, {len(offsets)})", "Give one column per label."
        )
    moved = found + offsets
    return np.asarray(moved - np.logaddexp.reduce(moved, axis=1, keepdims=True))


def label_offsets(content_free_log_probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is added to the log-probability of each label word, before they are normalised anew.

    Parameters
    ----------
    content_free_log_probabilities : ndarray, shape (c, labels)
        As of `calibrated`.

    Returns
    -------
    ndarray, shape (labels,)
        -log p_cf in nats, at least 0: large for a label that the model says too rarely.

    Raises
    ------
    InputError
        No row, or a label word that is not a number or impossible after every content-free query.

    Examples
    --------
    >>> label_offsets(np.log([[0.7, 0.3], [0.9, 0.1]])).round(3).tolist()
    [0.223, 1.609]
    """
    found = np.asarray(content_free_log_probabilities, dtype=np.float64)
    place = "content-free queries"
    if found.ndim != 2 or not len(found):
        raise InputError(place, f"shape {found.shape}", "(queries, labels), at least 1 query", "Ask about some.")
    offsets = np.asarray(np.log(len(found)) - np.logaddexp.reduce(np.where(np.isnan(found), -np.inf, found), axis=0))
    if np.isnan(found).any() or not np.isfinite(offsets).all():
        fix = "Leave the labels as they are, or choose other words."
        raise InputError(place, "a label word of probability 0, or not a number", "all labels possible", fix)
    return offsets


def content_free_queries(task: PromptTask) -> tuple[Labelled, ...]:
    """Return queries that say nothing; where the task's texts have several fields, all of them are filled.

    Their label is the first one, which nothing looks at.

    Parameters
    ----------
    task : PromptTask
        Of label words.

    Raises
    ------
    InputError
        Free answers, which have no label words.

    Examples
    --------
    >>> candidates = (Labelled("fine", "good"), Labelled("dull", "bad"))
    >>> [query.text for query in content_free_queries(PromptTask(candidates, candidates, (), ("good", "bad"), k=1))]
    ['N/A', '', '[MASK]']
    """
    check_label_probabilities(task)
    return tuple(Labelled(text, task.labels[0], tuple((name, text) for name in task.fields)) for text in CONTENT_FREE)


def check_label_probabilities(task: PromptTask, *, gives_label_probabilities: bool = True, name: str = "") -> None:
    """Refuse what has no probabilities of label words, which alone can be calibrated.

    Parameters
    ----------
    task : PromptTask
    gives_label_probabilities : bool
        Whether whoever answers gives them.
    name : str
        Of who answers.

    Raises
    ------
    InputError
        Free answers, or an asker that gives answers alone.
    """
    if task.free:
        found = "free answers"
    elif not gives_label_probabilities:
        found = f"answers alone, which is what {name!r} gives"
    else:
        return
    fix = "Ask without calibration, or a model that gives probabilities of label words."
    raise InputError("calibrated", found, "label words with probabilities", fix)
