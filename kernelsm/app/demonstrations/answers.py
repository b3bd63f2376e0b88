"""Demonstrations: what answers to the texts are, in a sentence."""

from __future__ import annotations

from collections import Counter

from kernelsm.app.shell.words import plain
from kernelsm.prompts.answer_rules import RULES
from kernelsm.prompts.task import PromptTask

MOST_LABELS_SHOWN = 12


def answers_sentence(task: PromptTask, *, bold: bool = False, counted: bool = False) -> str:
    """Return the label words of a task, or when a free answer is right, for Markdown.

    Parameters
    ----------
    task : PromptTask
    bold : bool
        Write the words in bold.
    counted : bool
        Say how many candidates have each.
    """
    if task.rule is not None:
        return f"Free answers: {'right where ' if task.rule.needs_answers else ''}{RULES[task.rule.kind]}."
    mark, counts = "**" if bold else "", Counter(candidate.label for candidate in task.candidates)
    labels = [
        f"{mark}{plain(label)}{mark}{f' ({counts[label]})' if counted else ''}"
        for label in task.labels[:MOST_LABELS_SHOWN]
    ]
    more = len(task.labels) - len(labels)
    return f"Label words: {', '.join(labels)}{f' and {more} more' if more else ''}."
