"""Text that follows: columns of prompts and completions as the tokens that a language model continues."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.files.limits import check_megabytes
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.grouping import place
from kernelsm.tasks.inputs import Source
from kernelsm.tasks.mapping import SampleMapping
from kernelsm.tasks.text_suite import Encode, token_rows

LENGTH = 128
"""Most tokens of a prompt and its completion."""


def following_text(
    source: Source, mapping: SampleMapping, encode: Encode | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, Any]]:
    """Read the texts that a mapping names.

    The columns of the prompt are joined by line breaks; where neither the prompt nor the completion has a space
    between them, one is added. Without columns of a prompt the completion is a text of its own, of which all but the
    first token is scored.

    Parameters
    ----------
    source : Source
    mapping : SampleMapping
        Its label is the column of the completions, its inputs those of the prompt.
    encode : callable, optional
        Texts to tokens; needed.

    Returns
    -------
    inputs : ndarray of int64, shape (n, 2, T)
        Tokens, and 1 where one is scored.
    labels : ndarray of int64, shape (n,)
        How many are scored.
    meta : dict
        `length`, and how many texts were `cut` to it.

    Raises
    ------
    InputError
        A column that holds no text, an empty completion, or no `encode`.
    """
    samples, rows = source.samples, source.rows
    if encode is None:
        fix = "Choose a language model, whose tokenizer reads the text."
        raise InputError(f"{samples.name}, label", "text without a tokenizer", "a language model", fix)
    for column in (mapping.label, *mapping.inputs):
        if samples.kind(column) != "text":
            found = {"empty": "no value at all", "array": "arrays"}.get(samples.kind(column), "numbers")
            raise InputError(place(samples, column), found, "text", "Choose a column of text.")

    def texts(column: str) -> list[str]:
        return [text or "" for text in samples.values(column)[rows].tolist()]

    completions = texts(mapping.label)
    empty = [row for row, text in enumerate(completions) if not text.strip()]
    if empty:
        fix = f"Fill it in or drop the row: {len(empty):,} have no text." if len(empty) > 1 else "Drop the row."
        at = place(samples, mapping.label, int(rows[empty[0]]))
        raise InputError(at, "no text", "what a language model is to write", fix)
    columns = [texts(column) for column in mapping.inputs]
    prompts = ["\n".join(filter(None, parts)) for parts in zip(*columns, strict=True)] or [""] * len(rows)
    pairs = [
        (prompt, completion if _apart(prompt, completion) else f" {completion}")
        for prompt, completion in zip(prompts, completions, strict=True)
    ]
    tokens = token_rows(pairs, encode, length=LENGTH, place=lambda row: place(samples, mapping.label, int(rows[row])))
    most = source.bounds.unpacked_megabytes
    check_megabytes(
        tokens.inputs.nbytes, f"{samples.name}, inputs", most, "Send fewer samples.", found="{} MiB in memory"
    )
    return tokens.inputs, tokens.scored, {"length": LENGTH, "cut": tokens.cut}


def _apart(prompt: str, completion: str) -> bool:
    return not prompt or prompt[-1].isspace() or completion[0].isspace()
