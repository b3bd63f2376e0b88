"""A task suite of text that a language model continues: prompts and answers, grouped by the source they come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.checks import check_counts
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import NEXT_TOKENS, TaskSuite

Encode = Callable[[Sequence[str]], list[list[int]]]


@dataclass(frozen=True)
class Passage:
    """One text.

    Parameters
    ----------
    answer : str
        What is scored.
    source : str
        The task, or for held-out texts the target, that it belongs to.
    prompt : str
        What comes before; "" for plain text, of which all but the first token is scored.
    """

    answer: str
    source: str
    prompt: str = ""


def text_suite(
    train: Sequence[Passage], test: Sequence[Passage], encode: Encode, *, length: int = 128, **meta: Any
) -> TaskSuite:
    """Return a suite of passages as tokens; each source of `train` is a task, and each of `test` a target.

    Parameters
    ----------
    train, test : sequence of Passage
        Sources keep the order in which they first come.
    encode : callable
        Texts to tokens, with the same mark of the start before each, if any: `LanguageModel.encode`.
    length : int
        Most tokens of a passage. Of a longer one the prompt loses its beginning, down to half of the length, and then
        the answer its end; the mark of the start stays. `meta["cut"]` counts those of the training and test passages.
    **meta
        Further metadata; JSON types only.

    Returns
    -------
    TaskSuite
        Inputs are int64 (n, 2, T): tokens, and 1 where a token is scored. Labels are the numbers of scored tokens.

    Raises
    ------
    InputError
        No passage, one without a token to score, or a length below 4.

    Examples
    --------
    >>> from kernelsm.tasks.text_suite import Passage, text_suite
    >>> def letters(texts):
    ...     return [[ord(letter) for letter in text] for text in texts]
    >>> train = [Passage("yes", "quiz", "Is it? "), Passage("a story", "tales")]
    >>> suite = text_suite(train, [Passage("no", "quiz", "Was it? ")], letters, length=12)
    >>> suite.task_names, suite.labels.tolist(), suite.inputs.shape
    (('quiz', 'tales'), [3, 6], (2, 2, 10))
    """
    found: dict[str, TokenRows] = {}
    for part, passages in (("train", train), ("test", test)):
        if not passages:
            raise InputError(part, "no passage", "one or more", "Give texts to train on and texts to be scored.")
        pairs = [(one.prompt, one.answer) for one in passages]
        found[part] = token_rows(pairs, encode, length=length, place=f"{part}, passage {{}}".format, first=1)
    task_names, task_of = _groups(train)
    target_names, target_of = _groups(test)
    longest = max(rows.inputs.shape[2] for rows in found.values())
    (inputs, labels), (test_inputs, test_labels) = (
        (padded(rows.inputs, longest), rows.scored) for rows in found.values()
    )
    return TaskSuite(
        inputs, labels, task_of, test_inputs, test_labels, target_of, task_names, target_names, objective=NEXT_TOKENS,
        meta={"length": length, "cut": {part: rows.cut for part, rows in found.items()}, **meta},
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class TokenRows:
    """Texts as tokens.

    Parameters
    ----------
    inputs : ndarray of int64, shape (n, 2, T)
        Tokens, and 1 where a token is scored.
    scored : ndarray of int64, shape (n,)
        How many are.
    cut : int
        How many texts were too long.
    """

    inputs: NDArray[np.int64]
    scored: NDArray[np.int64]
    cut: int


def token_rows(
    pairs: Sequence[tuple[str, str]], encode: Encode, *, length: int, place: Callable[[int], str], first: int = 0
) -> TokenRows:
    """Return prompts and answers as tokens.

    Parameters
    ----------
    pairs : sequence of (str, str)
        A prompt, which may be empty, and its answer.
    encode, length
        As of `text_suite`.
    place : callable
        What messages call a row, by its number.
    first : int
        The number of the first row.

    Raises
    ------
    InputError
        A text without a token to score, or a length below 4.
    """
    check_counts(length=length)
    if length < 4:
        raise InputError("length", f"{length}", "4 or more tokens", "128 is the default.")
    start = len(encode([""])[0])
    prompts, answers = (encode([pair[side] for pair in pairs]) for side in (0, 1))
    rows = [_row(prompt, answer[start:], start, length) for prompt, answer in zip(prompts, answers, strict=True)]
    for number, (_, scored, _) in enumerate(rows, start=first):
        if not scored:
            fix = "Leave it out, or give it a prompt: a first token has nothing to be predicted from."
            raise InputError(place(number), "no token to score", "one or more", fix)
    inputs = np.zeros((len(rows), 2, max(len(tokens) for tokens, *_ in rows)), dtype=np.int64)
    for row, (tokens, scored, _) in zip(inputs, rows, strict=True):
        row[0, : len(tokens)] = tokens
        row[1, len(tokens) - scored : len(tokens)] = 1
    scored_of = np.array([scored for _, scored, _ in rows], dtype=np.int64)
    return TokenRows(inputs, scored_of, sum(was_cut for *_, was_cut in rows))


def padded(inputs: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return rows of tokens (n, 2, T) filled up to a length with what is neither read nor scored."""
    return np.pad(inputs, ((0, 0), (0, 0), (0, length - inputs.shape[2])))


def _row(prompt: list[int], answer: list[int], start: int, length: int) -> tuple[list[int], int, bool]:
    """Tokens of a passage, how many of them at its end are scored, and whether it was cut."""
    whole = len(prompt) + len(answer)
    if whole > length:
        kept = max(length - len(answer), length // 2, start)
        if len(prompt) > kept:
            prompt = prompt[:start] + prompt[len(prompt) - (kept - start) :]
        answer = answer[: length - len(prompt)]
    tokens = prompt + answer
    return tokens, min(len(answer), len(tokens) - 1), whole > length


def _groups(passages: Sequence[Passage]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    names = tuple(dict.fromkeys(one.source for one in passages))
    places = {name: number for number, name in enumerate(names)}
    return names, np.array([places[one.source] for one in passages], dtype=np.int64)
