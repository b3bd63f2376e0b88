"""Demonstrations: another template or size of prompt on the same texts, as a copy, and how both compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st

from kernelsm.app.demonstrations.baselines import zero_shot
from kernelsm.app.shell import disk, frame, session
from kernelsm.app.shell.open_runs import Run, RunMissing, known_orders, open_run
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import plain
from kernelsm.examples.catalog import PROMPT_EXAMPLES
from kernelsm.files.limits import limits
from kernelsm.pipelines.askers import gives_label_probabilities
from kernelsm.prompts.task import LONGEST_TEXT, PromptTask
from kernelsm.runtime.errors import InputError
from kernelsm.workspace.prompt_projects import PROMPTS, PromptSource, find_prompts, keep_prompts
from kernelsm.workspace.tables import TABLES

_PREVIEW = 360  # pixels
_MOST_COMPARED = 12


@dataclass(frozen=True)
class Family:
    """Prompts of the same texts, and the run of the most prompts that were asked of them, where there is one."""

    source: str
    title: str
    task: PromptTask
    run: Run | None


def templates(source: str, run: str = "") -> None:
    """Draw the template with the way to change it, and the prompts of the same texts side by side.

    Parameters
    ----------
    source : str
        Of the texts.
    run : str
        Key of the run that is looked at, if there is one.
    """
    _compare(source, run)
    st.markdown("### Another template on the same texts")
    found = find_prompts(source)
    changed = _edited(source, found)
    if changed is None:
        return
    same = changed.task.content_hash == found.task.content_hash
    st.button(
        "Try this template", icon=":material/edit_note:", key="demo_template_try", disabled=same,
        on_click=_try, args=(changed,),
        help="Makes a copy of the texts with this template, beside the first; next the model is asked with it.",
    )  # fmt: skip


def _edited(source: str, found: PromptSource) -> PromptSource | None:
    """The texts as they are edited; None while that is wrong."""
    task, template = found.task, found.task.template
    left, right = frame.panels()
    with left:
        instruction, demonstration, query = (
            str(
                st.text_area(
                    label, value, height=height, max_chars=LONGEST_TEXT, key=f"demo_template_{name}_{source}",
                    persist_state="session",
                )
            )
            for label, value, height, name in (
                ("Instruction", template.instruction, 90, "instruction"),
                ("Demonstration", template.demonstration, 120, "demonstration"),
                ("Query", template.query, 100, "query"),
            )
        )  # fmt: skip
        k = int(
            st.number_input(
                "Demonstrations in a prompt (k)",
                1,
                min(task.K, limits().tasks),
                task.k,
                key=f"demo_template_k_{source}",
            )
        )
        title = st.text_input("Name", _next_title(source, found), max_chars=60, key=f"demo_template_title_{source}")
    with right:
        try:
            written = replace(template, instruction=instruction.rstrip(), demonstration=demonstration, query=query)
            changed = replace(found, title=title.strip() or found.title, task=replace(task, template=written, k=k))
        except InputError as error:
            st.error(plain(str(error)))
            return None
        st.caption("The first candidates and the first query:")
        shown = changed.task.template.prompt(task.candidates[:k], task.queries[0])
        st.code(shown, language=None, wrap_lines=True, height=_PREVIEW)
    return changed


def _next_title(source: str, found: PromptSource) -> str:
    title = session.titles(PROMPTS).get(source, found.title)
    taken = set(session.titles(PROMPTS).values())
    number = 2
    while f"{title}, template {number}"[:60] in taken:
        number += 1
    return f"{title}, template {number}"[:60]


@disk.callback
def _try(changed: PromptSource) -> None:
    key = keep_prompts(changed)
    session.bring(PROMPTS, key, changed.title)
    runs = [one for one in _runs() if one.prompts == key]
    if runs:  # it was tried before
        session.look_at(max(runs, key=lambda one: one.m).key)
    else:
        session.open_kept(PROMPTS, key)


def _compare(source: str, run: str) -> None:
    """Draw the prompts of the same texts side by side, and the buttons that turn to them."""
    family = list(_family(source, run))[:_MOST_COMPARED]
    if len(family) < 2:
        return
    rows = []
    for one in family:
        asked_so = one.run is not None and one.run.calibrated
        calibrated = asked_so and gives_label_probabilities(find_prompts(one.source))
        empty = zero_shot(one.source, calibrated=calibrated)
        mean, best, asked = _asked(one.run)
        rows.append(
            {
                "prompts": f"{one.title}, calibrated" if calibrated else one.title, "k": one.task.k,
                "no demonstration": None if empty is None else empty.loss,
                "right": None if empty is None else empty.accuracy,
                "the mean prompt": mean, "the best asked": best, "asked": asked,
            }
        )  # fmt: skip
    st.markdown("### Templates on the same texts")
    show_table(
        pd.DataFrame(rows), hide_index=True, alt="Loss of prompts of the same texts with different templates",
        column_config={
            **{
                name: st.column_config.NumberColumn(format="%.3f", help="Loss, nats, on the same queries")
                for name in ("no demonstration", "the mean prompt", "the best asked")
            },
            "right": st.column_config.NumberColumn(format="percent", help="Answers without a demonstration"),
            "asked": st.column_config.NumberColumn(help="Prompts that the model was asked with"),
        },
    )  # fmt: skip
    with st.container(horizontal=True):
        for place, one in enumerate(family):
            if one.source != source:
                st.button(
                    f"Turn to {plain(one.title)}", key=f"demo_template_open_{place}", on_click=_turn,
                    args=(one.source, one.run.key if one.run else ""),
                )  # fmt: skip


def _asked(run: Run | None) -> tuple[float | None, float | None, int]:
    """Mean and least loss of the prompts of a run, and how many there are."""
    if run is None or run.outcomes.higher_is_better:
        return None, None, 0
    ordered = known_orders(run.key)
    single = (run.outcomes.values if ordered is None else ordered.values).mean(axis=1)
    return float(run.outcomes.values.mean()), float(single.min()), len(single)


@disk.callback
def _turn(source: str, run: str) -> None:
    if run:
        session.look_at(run)
    else:
        session.open_kept(PROMPTS, source)


def _family(source: str, run: str) -> Iterator[Family]:
    """The prompts on this visitor's list, and the built-in ones, that hold the same texts; those looked at first."""
    own = find_prompts(source).task
    runs = list(_runs(run))
    for key in dict.fromkeys([source, *PROMPT_EXAMPLES, *session.titles(PROMPTS)]):
        try:
            found = find_prompts(key)
        except InputError:  # deleted meanwhile
            continue
        same = (found.task.candidates, found.task.queries) == (own.candidates, own.queries)
        if same:
            of_these = [one for one in runs if one.prompts == key]
            yield Family(
                key, session.titles(PROMPTS).get(key, found.title), found.task,
                max(of_these, key=lambda one: one.m, default=None),
            )  # fmt: skip


def _runs(run: str = "") -> Iterator[Run]:
    for key in dict.fromkeys([*([run] if run else []), *PROMPT_EXAMPLES, *session.titles(TABLES)]):
        with suppress(RunMissing):
            yield open_run(key)
