"""Greedy answers of a language model: the most probable token, again and again, for many prompts at once."""

from __future__ import annotations

from collections.abc import Sequence

from kernelsm.models.language_model import LanguageModel

BATCH = 16
"""Most prompts that are continued at once."""
BATCH_TOKENS = 8192
"""Most tokens that those remember together."""


def greedy_answers(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    stop: Sequence[str] = (),
    ends: Sequence[int] = (),
) -> list[str]:
    """Continue each row of tokens by the most probable next token until something ends it.

    What all rows have in common at their start is read once.

    Parameters
    ----------
    model : LanguageModel
    rows : sequence of sequences of int
        Tokens of the prompts, at least one each; with `max_tokens` more of them within `model.max_length`.
    max_tokens : int
        Most tokens of an answer.
    stop : sequence of str
        Texts that end an answer; they are no part of it.
    ends : sequence of int
        Tokens that end an answer, besides those that end a text of this model.

    Returns
    -------
    list of str
        The answers, without marks of the tokenizer, as they follow the prompt: a space at the start is kept.
    """
    final = {*ends, *_ends_of_text(model)}
    shared = _common_start([tuple(row) for row in rows])
    shared = shared[: min(map(len, rows)) - 1]  # each row keeps a token of its own
    read = model.read(shared)
    answers = [""] * len(rows)
    by_length = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    size = max(1, min(BATCH, BATCH_TOKENS // (len(rows[by_length[-1]]) + max_tokens)))
    for begin in range(0, len(rows), size):
        batch = by_length[begin : begin + size]
        found = _continued(model, [list(rows[i][len(shared) :]) for i in batch], read, max_tokens, stop, final)
        for number, answer in zip(batch, found, strict=True):
            answers[number] = answer
    return answers


def _continued(
    model: LanguageModel, rows: list[list[int]], read: object, max_tokens: int, stop: Sequence[str], final: set[int]
) -> list[str]:
    steps = model.continuation(rows, read)
    written: list[list[int]] = [[] for _ in rows]
    answers: list[str | None] = [None] * len(rows)
    chosen: list[int] | None = None
    for _ in range(max_tokens):
        chosen = next(steps) if chosen is None else steps.send(chosen)
        for row, token in enumerate(chosen):
            if answers[row] is not None:
                continue
            if token in final:
                answers[row] = _text(model, written[row])
                continue
            written[row].append(token)
            if stop and (cut := _cut(_text(model, written[row]), stop)) is not None:
                answers[row] = cut
        if all(answer is not None for answer in answers):
            break
    steps.close()
    return [
        _text(model, tokens) if answer is None else answer for tokens, answer in zip(written, answers, strict=True)
    ]


def _cut(text: str, stop: Sequence[str]) -> str | None:
    places = [text.find(mark) for mark in stop if mark and mark in text]
    return text[: min(places)] if places else None


def _text(model: LanguageModel, tokens: list[int]) -> str:
    return str(model.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _ends_of_text(model: LanguageModel) -> set[int]:
    """Tokens after which nothing follows, as the network and the tokenizer say."""
    settings = getattr(model.network, "generation_config", None)
    said = (getattr(settings, "eos_token_id", None), model.network.config.eos_token_id, model.tokenizer.eos_token_id)
    found: set[int] = set()
    for one in said:
        found |= set(one) if isinstance(one, list) else set() if one is None else {int(one)}
    return found


def _common_start(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    first, last = min(rows), max(rows)  # all others stand between these two, and share what they share
    differing = (i for i, (left, right) in enumerate(zip(first, last, strict=False)) if left != right)
    return first[: next(differing, len(first))]
