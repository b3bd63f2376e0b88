"""Demonstrations: one query, and the candidates that help and hurt it most (as in the paper's table 6)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from kernelsm.app.demonstrations.prompt_choice import ALL_IN, PromptChoice, measured_prompts
from kernelsm.app.shell.open_runs import open_run
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import plain
from kernelsm.prompts.nearest_prompts import text_likeness
from kernelsm.prompts.prompt_effects import candidate_effects
from kernelsm.prompts.prompt_prediction import PromptPrediction
from kernelsm.prompts.task import Labelled
from kernelsm.runtime.near_ties import rising
from kernelsm.surrogates.results import Attribution
from kernelsm.surrogates.wording import amount, number
from kernelsm.workspace.prompt_projects import find_prompts

_SHOWN, _WORDS = 5, 3
_ROW = 84  # pixels: four lines of text
LIKENESS_HELP = (
    "Cosine of both texts' words, rare words counting more: 0 for none in common, 1 for the same. A query that "
    "shares no word with any candidate is compared by its letters."
)


def one_query(choice: PromptChoice) -> None:
    """Draw the most helpful and most harmful candidates of one query, with what they share with it."""
    task, names = choice.task, choice.run.outcomes.target_names
    if len(names) != len(task.queries):
        st.info("This table has no outcomes of single queries.", icon=":material/info:")
        return
    j = st.selectbox(
        "Query", range(len(names)), key="demo_one_query", persist_state="session",
        format_func=lambda j: f"{task.queries[j].label}: {task.queries[j].text[:120]}",
    )  # fmt: skip
    query = task.queries[j]
    losses = choice.run.outcomes.values[:, j]
    st.markdown(f"> {plain(query.text)}\n\nThe right label is **{plain(query.label)}**.")
    st.caption(
        f"After the measured prompts its {choice.run.word} was {number(losses.mean())} in the mean, "
        f"{number(losses.min())} to {number(losses.max())}."
    )
    if choice.holds_all:
        st.info(ALL_IN, icon=":material/info:")
        return
    if choice.prediction is None:
        st.info("Too few prompts were measured to learn from.", icon=":material/info:")
        return
    effect = _of_query(choice.run.fits, j)
    values, margin = effect.values[:, 0], effect.margin()[:, 0]
    order = rising(-values if choice.run.outcomes.higher_is_better else values)
    likeness = _likeness(choice.run.prompts)[:, j]
    count = min(_SHOWN, task.K // 2)  # none is both
    for title, rows in (("Most helpful", order[:count]), ("Most harmful", order[::-1][:count])):
        st.markdown(f"### {title}")
        show_table(
            pd.DataFrame(
                {
                    "text": [f"{task.candidates[k].label}: {task.candidates[k].text}" for k in rows],
                    "effect": [amount(values[k], margin[k], signed=True) for k in rows],
                    "likeness": [
                        "\n".join([f"{likeness[k]:.2f}", *shared_words(task.candidates[k], query)]) for k in rows
                    ],
                }
            ),
            hide_index=True, row_height=_ROW, height="content", alt=f"{title} demonstrations for the query",
            column_config={
                "text": st.column_config.TextColumn("label: text", width=210),
                "effect": st.column_config.TextColumn(width=110, help=f"{choice.run.unit}; 90% interval"),
                "likeness": st.column_config.TextColumn(
                    width=110, help=f"{LIKENESS_HELP} Below it: words that both have."
                ),
            },
        )  # fmt: skip
    clear = int(effect.told_from_zero().sum())
    helpful = order[:count]
    alike = sum(task.candidates[k].label == query.label for k in helpful)
    same = "" if task.free else f" {alike} of the {len(helpful)} most helpful have its label."
    st.caption(f"{clear} of {task.K} effects on this query can be told from zero, with all of them in mind.{same}")


@st.cache_data(max_entries=64, show_spinner="Looking what single demonstrations do for this query ...")
def _of_query(key: str, j: int) -> Attribution:
    """Effects of all candidates on one query, by a surrogate of the kind that predicts the mean."""
    run, measured = open_run(key), measured_prompts(key, query=j)
    assert measured is not None
    names = run.outcomes.target_names
    return candidate_effects(PromptPrediction(measured), run.outcomes.task_names, names[j], run.word)


@st.cache_resource(max_entries=8, show_spinner=False)
def _likeness(source: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """How alike each candidate and query are, shape (K, q)."""
    task = find_prompts(source).task
    return text_likeness(task.candidates, task.queries).T


def shared_words(first: Labelled, second: Labelled) -> list[str]:
    """Return some words that two texts share, without those that all texts have; the longest first."""
    words = [
        {word.strip(".,;:!?\"'()[]").casefold() for word in one.text.split()} - ENGLISH_STOP_WORDS
        for one in (first, second)
    ]  # fmt: skip
    return sorted({word for word in words[0] & words[1] if len(word) > 1}, key=lambda word: (-len(word), word))[
        :_WORDS
    ]
