"""How tasks are weighed, in words that any page can show."""

from __future__ import annotations

from typing import get_args

import streamlit as st

from kernelsm.app.shell.open_runs import Run
from kernelsm.app.shell.words import plain
from kernelsm.examples.catalog import RECIPES, load_example
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.tasks.weighting import EQUALLY, FEW_SAMPLES, GroupSizes, Weighting
from kernelsm.workspace.projects import project_groups

WEIGHTING_NAMES: dict[Weighting, str] = {"by_size": "By size", "equally": "Equally"}
_SHORT: dict[Weighting, str] = {"by_size": "tasks weighed by size", "equally": "tasks weighed equally"}
_SENTENCES: dict[Weighting, str] = {
    "by_size": "Tasks are weighed **by size**: wherever a network is trained on them, each sample counts the same.",
    "equally": "Tasks are weighed **equally**: wherever a network is trained on them, each task counts the same, "
    "however few samples it has.",
}  # fmt: skip
_TRAINED = ("gradex", "retraining", "fine_tuning")
_NAMED = 5


def weighting_of(outcomes: Outcomes) -> Weighting | None:
    """How tasks were weighed in the trainings that a table is of; None where it is of none, or does not tell.

    Tables that were computed before there was a choice say nothing of it: their tasks were weighed equally.
    """
    meta = outcomes.meta
    found = meta.get("task_weighting", EQUALLY if "task_weights" not in meta else None)
    trained = meta.get("estimator") in _TRAINED and "suite" in meta
    return found if trained and found in get_args(Weighting) else None


def tasks_of(outcomes: Outcomes) -> GroupSizes | None:
    """Tasks of a table with their numbers of training samples; None where the table does not tell."""
    sizes, weighting = outcomes.meta.get("task_sizes"), weighting_of(outcomes)
    # metadata of an uploaded file may hold anything
    if weighting is None or not isinstance(sizes, list) or len(sizes) != outcomes.K:
        return None
    if not all(type(size) is int and size > 0 for size in sizes):
        return None
    return GroupSizes(outcomes.task_names, tuple(sizes), weighting)


def weighed(outcomes: Outcomes) -> str:
    """A few words for the head of a page; "" where there is nothing to say."""
    weighting = weighting_of(outcomes)
    return f" · {_SHORT[weighting]}" if weighting else ""


def weighed_project(key: str) -> str:
    """The same of a project that has no outcomes yet; "" where its samples are damaged, which its jobs report."""
    try:
        return f" · {_SHORT[project_groups(key)[0].weighting]}"
    except InputError:
        return ""


def source_sentence(source: str) -> str:
    """Say how an example or a project with a model weighs its tasks, and of what sizes they are."""
    if source in RECIPES:
        weighting = weighting_of(load_example(source))
        return _SENTENCES[weighting] if weighting else ""
    try:
        tasks = project_groups(source)[0]
    except InputError as error:
        return plain(str(error))
    return f"{_SENTENCES[tasks.weighting]} {sizes_sentence(tasks)}"


def sizes_sentence(tasks: GroupSizes) -> str:
    """Say how many training samples tasks have."""
    least, most = min(tasks.sizes), max(tasks.sizes)
    if least == most:
        return f"Each of the {len(tasks.sizes)} tasks has {most:,} training sample{'s' if most > 1 else ''}."
    smallest, largest = (plain(tasks.names[at]) for at in (tasks.smallest, tasks.largest))
    return f"They have {least:,} ({smallest}) to {most:,} ({largest}) training samples."


def few_samples_sentence(tasks: GroupSizes) -> str:
    """Name the tasks of fewer than ten samples and say what follows; "" where there are none."""
    if not tasks.tiny:
        return ""
    named = ", ".join(f"**{plain(tasks.names[at])}** ({tasks.sizes[at]})" for at in tasks.tiny[:_NAMED])
    more = f" and {len(tasks.tiny) - _NAMED:,} more" if len(tasks.tiny) > _NAMED else ""
    follows = "What so few samples do need not hold for others like them"
    if tasks.is_uneven and tasks.weighting == EQUALLY:
        follows += "; weighed equally, they count as much as those of the largest task"
    elif tasks.is_uneven:
        follows += "; weighed by size, they hardly change the loss with all tasks in"
    return f"Fewer than {FEW_SAMPLES} training samples: {named}{more}. {follows}."


def few_samples_note(run: Run) -> None:
    """Name the tasks of a run that have few samples, beside what is said of them."""
    tasks = tasks_of(run.outcomes)
    sentence = few_samples_sentence(tasks) if tasks else ""
    if sentence:
        st.warning(sentence, icon=":material/info:")
