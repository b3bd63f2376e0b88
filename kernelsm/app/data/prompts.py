"""Bring demonstrations for a prompt: the part of the Data & model page that makes prompts of a user's texts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from kernelsm.app.data import gallery
from kernelsm.app.data.prompt_files import Uploads, prompt_files
from kernelsm.app.demonstrations.check import advise_orders
from kernelsm.app.demonstrations.model_choice import model_choice
from kernelsm.app.shell import disk, frame, navigation, session
from kernelsm.app.shell.job_panel import job_panel, registry
from kernelsm.app.shell.words import duration, plain
from kernelsm.examples.movie_reviews.example import movie_reviews
from kernelsm.files.accepting import bare_name
from kernelsm.files.limits import limits
from kernelsm.files.written_tables import PACKED
from kernelsm.models.endpoint_address import is_endpoint
from kernelsm.prompts.conversations import shown_prompt
from kernelsm.prompts.orders import ENOUGH_ORDERS, FEWEST_ORDERS
from kernelsm.prompts.task import LONGEST_TEXT, Labelled, PromptTask, PromptTemplate, template_of_fields
from kernelsm.runtime.errors import InputError
from kernelsm.workspace.prompt_projects import PROMPTS, PromptSource, keep_prompts, prompts_key
from kernelsm.workspace.requests import PromptRequest

SUBSETS = 200  # the number that the shown cost is for
_WHOLE_SHOWN = 1_200  # characters of a preview that needs no scrolling
_MOST_SHOWN, _END_SHOWN = 6_000, 1_500  # most of a preview, and of its end where it is cut
_NO_QUERY = "(your first query)"
_MOST_LABELS_SHOWN = 12


def prompts() -> None:
    """Draw the way from two or three files to prompts: files, how a prompt is written, model, check."""
    uploads = prompt_files()
    task = _prompt(uploads)
    if uploads is None or uploads.queries is None:
        st.caption("Drop candidates and queries to go on.")
        return
    st.markdown("### Language model")
    model = model_choice("bring_prompts")
    if task is not None and model is not None:
        files = (uploads.candidates, uploads.queries, uploads.fresh)
        _check(PromptRequest(*files, task.template, task.k, model, uploads.reading), task)


def _queries(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}quer{'y' if count == 1 else 'ies'}"


def _prompt(uploads: Uploads | None) -> PromptTask | None:
    """Draw how a prompt is written, and a whole one beside it; None while that is wrong or there are no texts."""
    st.markdown("### Prompt")
    left, right = frame.panels()
    usual = PromptTemplate()
    fields = uploads.task.fields if uploads else ()
    with left:
        _offer_template(uploads)
        instruction, demonstration, query = (
            str(
                st.text_area(
                    label, value, height=height, max_chars=LONGEST_TEXT, key=f"bring_prompts_{key}",
                    placeholder=placeholder, persist_state="session",
                )
                or ""
            )
            for label, value, height, key, placeholder in (
                ("Instruction", usual.instruction, 80, "instruction", "None. It would stand first."),
                ("Demonstration", usual.demonstration, 120, "demonstration", ""),
                ("Query", usual.query, 100, "query", ""),
            )
        )  # fmt: skip
        st.caption(
            f"{_listed(fields)} are filled in; write {{ and }} of your own as {{{{ and }}}}. Line breaks count: an "
            "empty line at the end of a demonstration keeps it apart from the next one. The answer follows the query "
            "after one space."
        )
        chat = st.toggle(
            "As a conversation", key="bring_prompts_chat", persist_state="session",
            help="Written by the model's own chat template: the instruction as system message, each demonstration as "
            "a message of the user (its text, written as the query) and the label as the assistant's reply. For "
            "models that are tuned to chat.",
        )  # fmt: skip
        k = int(
            st.number_input(
                "Demonstrations in a prompt (k)", 1, limits().tasks, 4, key="bring_prompts_k", persist_state="session"
            )
        )
    with right:
        try:
            template = PromptTemplate(instruction.rstrip(), demonstration, query, chat=chat, fields=fields)
            task = replace(uploads.task, template=template, k=k) if uploads else None
        except InputError as error:
            gallery.refusal(error)
            return None
        _preview(task or replace(movie_reviews(), template=template, k=1), k, uploads)
    return task


def _preview(task: PromptTask, k: int, uploads: Uploads | None) -> None:
    """Draw the first k candidates and the first query as a prompt."""
    query = task.queries[0]
    if uploads is not None and not uploads.queries:
        query = Labelled(_NO_QUERY, "", tuple((name, _NO_QUERY) for name in task.fields))
    prompt = shown_prompt(task.template, task.candidates[:k], query)
    if len(prompt) > _MOST_SHOWN:
        cut = f"\n[... {len(prompt) - _MOST_SHOWN:,} characters are not shown ...]\n"
        prompt = prompt[: _MOST_SHOWN - _END_SHOWN] + cut + prompt[-_END_SHOWN:]
    shown = (
        "The first candidates and the first query" if uploads else "Movie reviews, until your candidates are there"
    )
    st.caption(f"{shown}:")
    st.code(prompt, language=None, wrap_lines=True, height="content" if len(prompt) <= _WHOLE_SHOWN else 480)
    st.caption(_then(task, query))


def _then(task: PromptTask, query: Labelled) -> str:
    """Say what the model is asked after the prompt."""
    if task.free:
        if not query.label:
            return "Then the model says how probable it finds the reference."
        said = plain(query.label[:80])
        writes = " It also writes an answer of its own." if task.rule and task.rule.needs_answers else ""
        return f"Then the model says how probable it finds the reference, {said}.{writes}"
    labels = [plain(label) for label in task.labels]
    if len(labels) > _MOST_LABELS_SHOWN:
        labels = [*labels[: _MOST_LABELS_SHOWN - 1], f"{len(labels) - _MOST_LABELS_SHOWN + 1} more"]
    return f"Then the model says how probable it finds {', '.join(labels[:-1])} and {labels[-1]}."


def _listed(fields: tuple[str, ...]) -> str:
    """The fields of a template, for a sentence."""
    if not fields:
        return "{text} and {label}"
    return f"{', '.join(f'{{{name}}}' for name in fields)} and {{label}} (or {{text}} for all fields together)"


def _offer_template(uploads: Uploads | None) -> None:
    """Offer a template that names the fields and the reasoning which the texts have."""
    if uploads is None:
        return
    task = uploads.task
    reasoning = any(candidate.reasoning for candidate in task.candidates)
    if not task.fields and not reasoning:
        return
    found = template_of_fields(task.fields, reasoning=reasoning, free=task.free)
    names = [*task.fields, *(["reasoning"] if reasoning else [])]
    st.button(
        f"Write a template of {plain(', '.join(names))}", key="bring_prompts_fields", icon=":material/edit_note:",
        on_click=_take_template, args=(found,),
    )  # fmt: skip


def _take_template(template: PromptTemplate) -> None:
    st.session_state["bring_prompts_demonstration"] = template.demonstration
    st.session_state["bring_prompts_query"] = template.query


def _check(request: PromptRequest, task: PromptTask) -> None:
    """Draw the job that tries the prompts with the model, and its result."""
    st.markdown("### Check")
    name = bare_name(request.candidates.name, PACKED)[:60]
    title = st.text_input("Name", name, max_chars=60, key=f"bring_prompts_title_{request.candidates.key}")
    st.caption(
        "Loads the model, checks that it can tell label words apart and that the longest prompt fits, times a "
        "few queries, and tries how much the order of demonstrations matters."
    )
    spec = request.job()
    checked_title = title.strip() or name
    about = 10.0 if is_endpoint(request.model) else 35.0
    job_panel(spec, about, checked_title, start="Check with the model", cancel="Cancel", key="prompt_check")
    status = registry().status(spec.key)
    if status and status.state == "done" and status.result:
        checked = status.result
        pace = checked["seconds"] / checked["queries"]
        _show_check(checked, PromptSource(checked_title, task, request.model, pace))


def _show_check(checked: dict[str, Any], source: PromptSource) -> None:
    """Show the result of the check, and link to the next page."""
    if "endpoint" in checked:
        _show_endpoint_check(checked, source)
        return
    counts = list(checked["labels"].items())
    labels = ", ".join(f"{plain(label)} {count}" for label, count in counts[:_MOST_LABELS_SHOWN])
    more = f" and {len(counts) - _MOST_LABELS_SHOWN} more" if len(counts) > _MOST_LABELS_SHOWN else ""
    tokens = f" Tokens of the label words: {labels}{more}." if counts else ""
    st.success(
        f"{plain(checked['model'])} reads these prompts: the longest has {checked['longest']:,} of at most "
        f"{checked['max_length']:,} tokens.{tokens}",
        icon=":material/check:",
    )
    if checked["shared"]:
        first, second = map(plain, checked["shared"][0])
        st.info(
            f"The label words {first} and {second} begin with the same token. The model tells them apart by those "
            "that follow, which takes a little longer.",
            icon=":material/info:",
        )
    advised = checked.get("orders", 0)  # a check of an older version did not ask
    orders = advised or FEWEST_ORDERS
    total = SUBSETS * orders * checked["seconds"]
    each = f"each in {orders} orders, " if orders > 1 else ""
    st.markdown(
        f"One subset of demonstrations in one order, asked {_queries(checked['queries'])}, takes about "
        f"{_short(checked['seconds'])} on this computer, as busy as it was then. {SUBSETS} subsets, {each}take about "
        f"**{_short(total)}**."
    )
    if source.task.k > 1:
        st.caption(_orders_sentence(advised))
    st.button(
        "Go on to Demonstrations", type="primary", icon=":material/chat:", on_click=_go_on, args=(source, orders)
    )  # fmt: skip


def _show_endpoint_check(checked: dict[str, Any], source: PromptSource) -> None:
    """Show what an endpoint answered, and what asking it takes."""
    st.success(
        f"{plain(checked['model'])} answers by {checked['endpoint']}: {checked['right']:.0%} of the queries that it "
        "was asked were answered right.",
        icon=":material/check:",
    )
    total = SUBSETS * FEWEST_ORDERS if source.task.k > 1 else SUBSETS
    each = f", each in {FEWEST_ORDERS} orders," if source.task.k > 1 else ""
    st.markdown(
        f"One subset of demonstrations in one order takes **{checked['calls']:,} calls** and about "
        f"{checked['tokens']:,} tokens, in about {_short(checked['seconds'])}. {SUBSETS} subsets{each} take "
        f"{total * checked['calls']:,} calls and about {total * checked['tokens']:,} tokens. What was answered is "
        "kept and not paid for again."
    )
    st.button(
        "Go on to Demonstrations", type="primary", icon=":material/chat:", on_click=_go_on,
        args=(source, FEWEST_ORDERS),
    )  # fmt: skip


def _orders_sentence(advised: int) -> str:
    """Say why so many orders of each subset are advised; 0: it was not tried."""
    if not advised:
        return (
            "How much the order matters was not tried, which is left out where it would take more than a minute. "
            f"{FEWEST_ORDERS} orders of each subset are the fewest that tell."
        )
    if advised < ENOUGH_ORDERS:
        return (
            f"A few subsets were tried in two orders: with {advised} orders of each, choosing other demonstrations "
            "changes the loss at least as much as what is left of the order."
        )
    return (
        f"A few subsets were tried in two orders: the order matters much here. More than {advised} orders of each "
        "are not advised; more subsets tell more."
    )


def _short(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 1.5 else duration(seconds)


@disk.callback
def _go_on(source: PromptSource, orders: int) -> None:
    key = prompts_key(source)
    title = PROMPTS.title(key) if PROMPTS.opens(key) else source.title  # others may have brought the same
    keep_prompts(replace(source, title=title))
    advise_orders(key, orders)
    session.bring(PROMPTS, key, source.title)
    session.open_kept(PROMPTS, key)
    navigation.go(navigation.DEMONSTRATIONS)
