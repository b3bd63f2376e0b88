"""Exact scoring of prompts: how probable a language model finds each label word after each prompt.

What the prompts have in common at their start, the demonstrations, is read once; all of them continue from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from kernelsm.models.language_model import LanguageModel
from kernelsm.runtime.errors import InputError

Tokens = tuple[int, ...]
_P = TypeVar("_P")
BATCH = 16
"""Most prompts that pass through the network at once."""
BATCH_TOKENS = 8192
"""Most tokens that those read or remember together: 380 MB of memory for the default model."""
MANY_PASSES = 6
"""From so many different continuations of a prompt on, the prompt is read once and its labels continue from there."""
_ROWS_AT_ONCE = 4096  # texts that are tokens at the same time
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


class LabelsBeginOthersError(InputError):
    """The tokens of one label are the start of those of another one."""


def read_prompts(
    model: LanguageModel, prompts: Sequence[str], labels: Sequence[str], after: str = ""
) -> PromptTokens:
    """Turn prompts into tokens, each with every label word after one space.

    A prompt is read together with its label, never piece by piece: tokens may cross the seam.

    Parameters
    ----------
    model : LanguageModel
    prompts, labels : sequences of str
    after : str
        What follows a label in the template: taken along where the tokens of one label begin those of another one.

    Raises
    ------
    InputError
        The tokens of one label are the start of those of another one, also with what follows, or a prompt has none
        that are its own.
    """

    def encoded(some: Sequence[str], ending: str) -> list[list[int]]:
        return model.encode([f"{prompt} {label}{ending}" for prompt in some for label in labels])

    return read_apart(encoded, prompts, labels, after)


def read_apart(
    encode: Callable[[Sequence[_P], str], list[list[int]]], prompts: Sequence[_P], labels: Sequence[str], after: str
) -> PromptTokens:
    """Split prompts with their labels into tokens, a part of them at a time, with what follows where it is needed.

    Parameters
    ----------
    encode : callable
        (some prompts, what follows) -> tokens of each of them with each label.
    prompts : sequence
    labels : sequence of str
    after : str
        See `read_prompts`.

    Raises
    ------
    InputError
        As `read_prompts`.
    """
    size = max(1, _ROWS_AT_ONCE // len(labels))

    def read(ending: str) -> PromptTokens:
        parts = [
            read_rows(encode(prompts[start : start + size], ending), labels, first=start)
            for start in range(0, len(prompts), size)
        ]
        return PromptTokens(
            tuple(prompt for part in parts for prompt in part.prompts),
            tuple(endings for part in parts for endings in part.endings),
        )

    try:
        return read("")
    except LabelsBeginOthersError:
        if not after:
            raise
        return read(after)


def read_rows(rows: Sequence[list[int]], labels: Sequence[str], *, first: int = 0) -> PromptTokens:
    """Split tokens of prompts, each with every label after it, into what its labels share and what they do not.

    Parameters
    ----------
    rows : sequence of lists of int, length q x labels
        The first prompt with each label, then the next one.
    labels : sequence of str
    first : int
        Number of the first prompt, for messages.

    Raises
    ------
    InputError
        As `read_prompts`.
    """
    count = len(labels)
    shared: list[Tokens] = []
    endings: list[tuple[Tokens, ...]] = []
    for begin in range(0, len(rows), count):
        start = _common_start(rows[begin : begin + count])
        rest = tuple(tuple(row[len(start) :]) for row in rows[begin : begin + count])
        _check_endings(rest, labels)
        if not start:
            fix = "Write something before the label that the tokenizer knows."
            raise InputError(f"prompt {first + begin // count + 1}", "no token before the label", "one or more", fix)
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
    many: dict[int, list[ForwardPass]] = {}
    for row in rows:
        many.setdefault(row.query, []).append(row)
    few = [row for passes in many.values() if len(passes) < MANY_PASSES for row in passes]
    _score(model, few, read, len(shared), BATCH, scores)
    for passes in many.values():
        if len(passes) >= MANY_PASSES:
            # all but the last token of the prompt, after which the first logits are read
            of_prompt = model.read(passes[0].prompt[:-1], read)
            last = [replace(row, prompt=row.prompt[-1:]) for row in passes]
            before = len(shared) + len(passes[0].prompt) - 1
            _score(model, last, of_prompt, before, len(passes), scores)
    if not np.isfinite(scores).all():
        fix = "Were its weights damaged, or saved in half precision and too large?"
        raise InputError(f"model {model.name!r}", "logits that are not finite", "finite logits", fix)
    return scores


def _score(
    model: LanguageModel, rows: list[ForwardPass], read: object, before: int, most: int, scores: NDArray[np.float64]
) -> None:
    """Write the log-likelihoods that some forward passes tell into `scores`; `before` tokens were read."""
    if not rows:
        return
    rows = sorted(rows, key=lambda row: len(row.prompt) + len(row.continuation))
    longest = before + len(rows[-1].prompt) + len(rows[-1].continuation)
    endings = max(len(row.continuation) + 1 for row in rows)
    size = max(1, min(most, BATCH_TOKENS // longest, _BATCH_SCORED // endings))
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
            fix = (
                "Choose other label words, or let something follow {label} in the demonstration, such as a new line."
            )
            raise LabelsBeginOthersError("labels", found, "words that the model can tell apart", fix)
