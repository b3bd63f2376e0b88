"""Exact scoring of prompts: how probable a language model finds each label word after each prompt.

What the prompts have in common at their start, the demonstrations, is read once; all of them continue from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from kernelsm.models.language_model import LanguageModel
from kernelsm.runtime.errors import InputError

Tokens = tuple[int, ...]
BATCH = 16
"""Most prompts that pass through the network at once."""
BATCH_TOKENS = 8192
"""Most tokens that those read or remember together: 380 MB of memory for the default model."""
_BATCH_SCORED = 1024  # most tokens of endings that are scored together: 200 MB for the default model


@dataclass(frozen=True, eq=False)
class PromptTokens:
    """Prompts and label words as the tokenizer reads them together.

    Parameters
    ----------
    prompts : tuple of tuples of int, length q
        Tokens that a prompt has in common whichever label follows.
    endings : tuple, length q
        For each prompt the rest, once for each label; none of them starts with another one.
    """

    prompts: tuple[Tokens, ...]
    endings: tuple[tuple[Tokens, ...], ...]

    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each prompt with its longest label, shape (q,)."""
        return np.array(
            [
                len(prompt) + max(map(len, prompt_endings))
                for prompt, prompt_endings in zip(self.prompts, self.endings, strict=True)
            ]
        )


def read_prompts(model: LanguageModel, prompts: Sequence[str], labels: Sequence[str]) -> PromptTokens:
    """Turn prompts into tokens, each with every label word after one space.

    A prompt is read together with its label, never piece by piece: tokens may cross the seam.

    Raises
    ------
    InputError
        The tokens of one label are the start of those of another one, or a prompt has none that are its own.
    """
    rows = model.encode([f"{prompt} {label}" for prompt in prompts for label in labels])
    return read_rows(rows, labels)


def read_rows(rows: Sequence[list[int]], labels: Sequence[str]) -> PromptTokens:
    """Split tokens of prompts, each with every label after it, into what its labels share and what they do not.

    Parameters
    ----------
    rows : sequence of lists of int, length q x labels
        The first prompt with each label, then the next one.
    labels : sequence of str

    Raises
    ------
    InputError
        As `read_prompts`.
    """
    count = len(labels)
    shared: list[Tokens] = []
    endings: list[tuple[Tokens, ...]] = []
    for first in range(0, len(rows), count):
        start = _common_start(rows[first : first + count])
        rest = tuple(tuple(row[len(start) :]) for row in rows[first : first + count])
        _check_endings(rest, labels)
        if not start:
            fix = "Write something before the label that the tokenizer knows."
            raise InputError(f"prompt {first // count + 1}", "no token before the label", "one or more", fix)
        shared.append(start)
        endings.append(rest)
    return PromptTokens(tuple(shared), tuple(endings))


def label_log_probabilities(model: LanguageModel, tokens: PromptTokens) -> NDArray[np.float64]:
    """Score each label word after each prompt, exactly.

    The probability of a word of several tokens is the product over them, each given those before it. Prompts of like
    length pass through the network together.

    Parameters
    ----------
    model : LanguageModel
    tokens : PromptTokens
        Within `model.max_length`.

    Returns
    -------
    ndarray, shape (q, labels)
        Log-probabilities in nats, normalised over the labels.

    Raises
    ------
    InputError
        Logits that are not finite.
    """
    scores = ending_log_likelihoods(model, tokens)
    highest = scores.max(axis=1, keepdims=True)
    normaliser = highest + np.log(np.exp(scores - highest).sum(axis=1, keepdims=True))
    return np.asarray(scores - normaliser)


def ending_log_likelihoods(model: LanguageModel, tokens: PromptTokens) -> NDArray[np.float64]:
    """Score each ending of each prompt, exactly: the sum over its tokens, each given those before it.

    Parameters
    ----------
    model : LanguageModel
    tokens : PromptTokens
        Within `model.max_length`; with the same number of endings for each prompt.

    Returns
    -------
    ndarray, shape (q, endings)
        Log-likelihoods in nats, not normalised.

    Raises
    ------
    InputError
        Logits that are not finite.
    """
    scores = np.zeros((len(tokens.prompts), len(tokens.endings[0])))
    shared = _common_start(tokens.prompts)
    # each prompt keeps a token of its own, after which the first logits are read
    shared = shared[: min(map(len, tokens.prompts)) - 1]
    read = model.read(shared)
    rows = forward_passes(tokens, len(shared))
    rows.sort(key=lambda row: len(row.prompt) + len(row.continuation))
    longest = len(shared) + len(rows[-1].prompt) + len(rows[-1].continuation)
    endings = max(len(row.continuation) + 1 for row in rows)
    size = max(1, min(BATCH, BATCH_TOKENS // longest, _BATCH_SCORED // endings))
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        positions = sorted({position for row in batch for position in row.positions()})
        logits = model.logits([row.prompt + row.continuation for row in batch], read, positions)
        step_log_probabilities = torch.log_softmax(logits, dim=-1).cpu().double().numpy()
        for row, row_log_probabilities in zip(batch, step_log_probabilities, strict=True):
            columns = [positions.index(position) for position in row.positions()]
            for label in row.labels():
                ending = row.endings[label]
                scores[row.query, label] = row_log_probabilities[columns[: len(ending)], ending].sum()
    if not np.isfinite(scores).all():
        fix = "Were its weights damaged, or saved in half precision and too large?"
        raise InputError(f"model {model.name!r}", "logits that are not finite", "finite logits", fix)
    return scores


def measure_labels(log_probabilities: NDArray[np.float64], true: NDArray[np.int64]) -> NDArray[np.float64]:
    """Measure each query.

    Parameters
    ----------
    log_probabilities : ndarray, shape (q, labels)
        Normalised over the labels.
    true : ndarray of int64, shape (q,)
        Which label is right.

    Returns
    -------
    ndarray, shape (3, q)
        Cross-entropy in nats, 1 where the right label is more probable than each other one, and the margin
        log p_y - log(1 - p_y).
    """
    rows = np.arange(len(true))
    right = log_probabilities[rows, true]
    others = log_probabilities.copy()
    others[rows, true] = -np.inf
    best = others.max(axis=1)
    rest = best + np.log(np.exp(others - best[:, None]).sum(axis=1))
    return np.stack([-right, (right > best).astype(np.float64), right - rest])


@dataclass(frozen=True)
class ForwardPass:
    """One forward pass of the network: the rest of a prompt and the label tokens that follow it."""

    query: int
    prompt: Tokens
    continuation: Tokens
    endings: tuple[Tokens, ...]

    def positions(self) -> range:
        """Where the logits of the label tokens are read."""
        return range(len(self.prompt) - 1, len(self.prompt) + len(self.continuation))

    def labels(self) -> list[int]:
        """Labels that this pass scores: their tokens, except the last, start the continuation."""
        return [i for i, ending in enumerate(self.endings) if self.continuation[: len(ending) - 1] == ending[:-1]]


def forward_passes(tokens: PromptTokens, read: int = 0) -> list[ForwardPass]:
    """Return the forward passes that score every label of every prompt.

    Parameters
    ----------
    tokens : PromptTokens
    read : int
        Tokens at the start of each prompt that were read before.
    """
    return [
        ForwardPass(query, prompt[read:], continuation, endings)
        for query, (prompt, endings) in enumerate(zip(tokens.prompts, tokens.endings, strict=True))
        for continuation in _longest(endings)
    ]


def _common_start(rows: Sequence[list[int]] | Sequence[Tokens]) -> Tokens:
    first, last = min(rows), max(rows)  # all others stand between these two, and share what they share
    differing = (i for i, (left, right) in enumerate(zip(first, last, strict=False)) if left != right)
    return tuple(first[: next(differing, len(first))])


def _longest(endings: tuple[Tokens, ...]) -> list[Tokens]:
    """The longest continuations: with these every label is scored; none is the start of another one."""
    longest: list[Tokens] = []
    for continuation in sorted({ending[:-1] for ending in endings}, key=len, reverse=True):
        if not any(longer[: len(continuation)] == continuation for longer in longest):
            longest.append(continuation)
    return longest


def _check_endings(endings: tuple[Tokens, ...], labels: Sequence[str]) -> None:
    ordered = sorted(range(len(endings)), key=lambda i: endings[i])
    for shorter, longer in pairwise(ordered):  # what starts with another one stands right after it
        if endings[longer][: len(endings[shorter])] == endings[shorter]:
            found = f"{labels[shorter]!r}, whose tokens are the start of those of {labels[longer]!r}"
            raise InputError("labels", found, "words that the model can tell apart", "Choose other label words.")
