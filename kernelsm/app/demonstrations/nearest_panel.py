"""Demonstrations: a prompt of its own for each query, to look at and to copy, and how good such prompts are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from kernelsm.app.demonstrations import baselines, copied_prompt, model_choice, work_under_way
from kernelsm.app.demonstrations.baselines import Baseline, three_digits
from kernelsm.app.demonstrations.one_query import LIKENESS_HELP, shared_words
from kernelsm.app.demonstrations.past_checks import measured_checks
from kernelsm.app.demonstrations.prompt_choice import PromptChoice
from kernelsm.app.shell import rights, session
from kernelsm.app.shell.job_panel import job_panel
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import plain
from kernelsm.export.prompt_formats import PROMPT_FORMS
from kernelsm.pipelines.nearest_prompts import NearestSettings
from kernelsm.prompts.agreement import measured_mean
from kernelsm.prompts.nearest_prompts import most_alike_last, text_likeness
from kernelsm.prompts.task import LONGEST_TEXT, TEXT, Labelled, PromptTask
from kernelsm.surrogates.wording import amount, number
from kernelsm.workspace.prompt_projects import PROMPTS

_OWN = -1
_LONGEST_SHOWN = 200


def nearest_panel(choice: PromptChoice) -> None:
    """Show the prompt that a query would have of its own, and offer to ask the model after such prompts."""
    k = choice.task.k
    st.markdown(
        f"Each query gets a prompt of its own: the {f'{k} candidates' if k > 1 else 'candidate'} most like it"
        f"{', the most alike right before the query' if k > 1 else ''}. Nothing is chosen and no prompt need be "
        "measured first, but each prompt is built when its query comes in, and the model reads all of it every time."
    )
    query = _query(choice.task)
    if query is not None:
        _prompt(choice.task, query)
    st.markdown("### What the model says")
    _ask(choice)
    found = baselines.nearest_result(choice.run.prompts)
    if found is not None:
        _compared(choice, found)


def _query(task: PromptTask) -> Labelled | None:
    """Draw the choice of a query, or boxes to type one; None while there is nothing in them."""
    j = int(
        st.selectbox(
            "Query", [_OWN, *range(len(task.queries))], 1, key="demo_nearest_query", persist_state="session",
            format_func=lambda j: "Type one" if j == _OWN else task.queries[j].text[:120],
        )
    )  # fmt: skip
    if j != _OWN:
        return task.queries[j]
    typed = [
        (
            name,
            st.text_area(
                f"Your query, {name}" if task.fields else "Your query", key=f"demo_nearest_field_{name}", height=100,
                persist_state="session", max_chars=LONGEST_TEXT,
            ),
        )
        for name in task.fields or (TEXT,)
    ]  # fmt: skip
    if not any(content.strip() for _, content in typed):
        st.caption("Type a query to see its prompt.")
        return None
    return Labelled.of_fields(typed, "")


def _prompt(task: PromptTask, query: Labelled) -> None:
    likeness = text_likeness(task.candidates, [query])[0]
    prompt = most_alike_last(likeness, task.k)
    with st.container(border=True):
        for place, k in enumerate(prompt, start=1):
            candidate = task.candidates[k]
            cut = "…" if len(candidate.text) > _LONGEST_SHOWN else ""
            answer = plain(candidate.label[:_LONGEST_SHOWN])
            words = ", ".join(map(plain, shared_words(candidate, query)))
            st.markdown(
                f"**{place}** · {plain(candidate.text[:_LONGEST_SHOWN])}{cut} → **{answer}**  \n"
                f":gray[likeness {likeness[k]:.2f}{f': {words}' if words else ''}]"
            )
    st.caption(
        f"Likeness: {LIKENESS_HELP[:1].lower()}{LIKENESS_HELP[1:]} Named are words that both have, without the "
        "commonest."
    )
    if not likeness.any():
        st.caption("No candidate has anything in common with this query: the first ones stand in its prompt.")
    with st.expander("The whole prompt", icon=":material/article:"):
        copied_prompt.written(task, prompt, query, PROMPT_FORMS["Text"])


def _ask(choice: PromptChoice) -> None:
    source = choice.run.prompts
    if not rights.may_ask(source):
        rights.say_not_yours("The texts", "the language model is not asked about them here")
        return
    limits = model_choice.endpoint_limits(choice.source, "demo_nearest_endpoint")
    settings = NearestSettings(source, limits)
    task = choice.task
    fresh = f" and {len(task.fresh):,} fresh queries" if task.fresh else ""
    st.markdown(f"Asks about **{len(task.queries):,} queries{fresh}**, each after its own prompt.")
    known = {candidate.text for candidate in task.candidates}
    if seen := sum(query.text in known for query in (*task.queries, *task.fresh)):
        them = (
            "1 of them is a candidate, too: its prompt shows it"
            if seen == 1
            else (f"{seen:,} of them are candidates, too: their prompts show them")
        )
        st.caption(f"{them} with the answer.")
    model_choice.say_cost(settings.cost(), limits)
    spec = settings.job()
    work_under_way.drawn(spec.key)
    title = session.titles(PROMPTS).get(source, choice.source.title)
    job_panel(spec, settings.seconds(), title, start="Ask after nearest prompts", key="demo_nearest")


def _compared(choice: PromptChoice, found: dict[str, Any]) -> None:
    """Draw what was measured beside what else is known of the same queries."""
    source, losses = choice.run.prompts, np.array(found["fresh_losses"], dtype=float)
    if choice.is_loss:
        rows = baselines.baselines(choice)
    else:  # the table of this run measures something else
        rows = [one for one in (baselines.zero_shot(source), baselines.nearest(source)) if one is not None]
    unit = choice.unit if choice.is_loss else "Loss"
    parts = {"queries": {one.name: one for one in rows}}
    if found["fresh"]:
        guessed = [one for one in rows if one.name.startswith(baselines.GUESSING)]  # the same on any queries
        of_fresh = (*guessed, baselines.zero_shot(source, "fresh"), baselines.nearest(source, "fresh"))
        parts["fresh queries"] = {one.name: one for one in of_fresh if one is not None}
    show_table(
        pd.DataFrame(
            {
                "prompt": [one.name for one in rows],
                **{part: [_cell(known.get(one.name)) for one in rows] for part, known in parts.items()},
            }
        ),
        hide_index=True, height="content", alt="Loss and right answers after nearest prompts and others",
        column_config={
            "prompt": st.column_config.TextColumn(width=166),
            **{part: st.column_config.TextColumn(width=96) for part in parts},
        },
    )  # fmt: skip
    st.caption(f"{unit}, and right answers.")
    if len(losses) > 1:
        st.markdown(_in_words(choice, losses, found["fresh"][1]))


def _cell(one: Baseline | None) -> str:
    if one is None:
        return ""
    return three_digits(one.loss) + ("" if math.isnan(one.accuracy) else f" · {one.accuracy:.0%}")


def _in_words(choice: PromptChoice, losses: np.ndarray[Any, np.dtype[np.float64]], right: float) -> str:
    """What fresh queries say, and how that differs from a prompt that was checked on them."""
    own = measured_mean(losses[None], 1)
    said = f"On fresh queries the loss is **{amount(own.mean, own.margin)}**, right on **{right:.0%}**."
    checks = measured_checks(choice.run.prompts)
    name, prompt = "your prompt", choice.picked
    if prompt not in checks:
        if not checks:
            return f"{said} *Check* a prompt to see how far it differs from this on the same queries."
        name, prompt = "the prompt checked last", next(iter(checks))
    checked = checks[prompt][0]
    apart = measured_mean((losses - checked)[None], 1)
    before = f"{said} After {name} it was {number(float(checked.mean()))} on the same queries"
    if not abs(apart.mean) > apart.margin:
        difference = amount(apart.mean, apart.margin, signed=True)
        return f"{before}: the difference, {difference} (90% interval), cannot be told from zero."
    word = "lower" if apart.mean < 0 else "higher"
    return f"{before}: nearest prompts are **{amount(abs(apart.mean), apart.margin)} {word}** (90% interval)."
