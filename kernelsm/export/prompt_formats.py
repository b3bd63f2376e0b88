"""A prompt to take away: as text, as the messages of a chat, and its demonstrations as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Sequence

from kernelsm.prompts.conversations import shown_prompt
from kernelsm.prompts.task import Labelled, PromptTask

PLACE = "{text}"
"""Stands where a query goes."""


def prompt_text(task: PromptTask, picked: Sequence[int], query: Labelled | None = None) -> str:
    """Return the whole prompt as the language model reads it, before the label word.

    A conversation is shown with who speaks above each turn: how it is written down is up to the model's template.

    Parameters
    ----------
    task : PromptTask
    picked : sequence of int
        Candidates, in the order of the prompt.
    query : Labelled, optional
        What is asked; `PLACE` stands there where none is given.
    """
    asked = query or Labelled(PLACE, task.labels[0])
    return shown_prompt(task.template, [task.candidates[k] for k in picked], asked)


def chat_json(task: PromptTask, picked: Sequence[int], query: Labelled | None = None) -> str:
    """Return the prompt as a JSON list of chat messages: each demonstration a question and its answer.

    A chat model reads this through a template of its own, so its loss is not that of the plain text.
    """
    messages = [{"role": "system", "content": task.template.instruction}] if task.template.instruction else []
    for k in picked:
        demonstration = task.candidates[k]
        messages.append({"role": "user", "content": task.template.tail(demonstration)})
        messages.append({"role": "assistant", "content": demonstration.label})
    messages.append({"role": "user", "content": task.template.tail(query or Labelled(PLACE, task.labels[0]))})
    return json.dumps(messages, ensure_ascii=False, indent=1)


def json_lines(task: PromptTask, picked: Sequence[int]) -> str:
    """Return the demonstrations, one JSON object with text and label on each line."""
    shown = (task.candidates[k] for k in picked)
    return "\n".join(
        json.dumps({"text": demonstration.text, "label": demonstration.label}, ensure_ascii=False)
        for demonstration in shown
    )
