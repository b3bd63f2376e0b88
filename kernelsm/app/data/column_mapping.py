"""Controls that say what the columns of a file mean; each starts with a guess."""

from __future__ import annotations

from typing import Any, cast

import pandas as pd
import streamlit as st

from kernelsm.app.data.gallery import refusal
from kernelsm.app.shell import frame
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.words import plain
from kernelsm.runtime.errors import InputError
from kernelsm.samples.column_facts import Facts
from kernelsm.tasks.label_guess import LabelGuess, guess_label
from kernelsm.tasks.mapping import TARGET_ALL, TARGET_LABEL, TARGET_TASK, InputKind, RuleKind, SampleMapping, TaskRule
from kernelsm.tasks.mapping_guess import MappingGuess, explain_guess
from kernelsm.tasks.suite import CLASSIFICATION, NEXT_TOKENS, REGRESSION, SEVERAL_LABELS

_KINDS = {"tabular": "Numbers", "text": "Text", "image": "Images", "tokens": "Tokens"}
_RULES = {"column": "Columns", "label": "Labels", "clusters": "Clusters", "slices": "Random slices"}
_TARGETS = {TARGET_ALL: "all together", TARGET_TASK: "by task", TARGET_LABEL: "by label"}
_OBJECTIVES = {
    CLASSIFICATION: "A class", REGRESSION: "A quantity", SEVERAL_LABELS: "Several labels",
    NEXT_TOKENS: "Text that follows",
}  # fmt: skip
_OBJECTIVE_HELP = (
    "**A class**: one of several, such as a species. **A quantity**: a number to come near to, such as a price; it "
    "is standardised, and errors are told in its own units. **Several labels**: each of them applies or not, "
    "whatever the others do. **Text that follows**: what a language model is to write after the prompt; it is "
    "fine-tuned on it, and measured by how surprised it is by each token."
)
_PROMPT_HELP = (
    "What stands before the text, each column in a line of its own; none where the texts stand alone. A space is put "
    "between the two where neither has one."
)
_FURTHER = {REGRESSION: "Further quantities", SEVERAL_LABELS: "Further labels"}
_RANDOM = "a random part"


def mapping_controls(key: str, facts: Facts) -> SampleMapping | None:
    """Draw the controls for one file, named by its key, and return what was chosen; None where it cannot be used."""
    explained = _guess(key, facts.names, facts)
    guess, why = explained.mapping, explained.reasons
    st.markdown("### What the columns mean")
    st.caption(f"A first guess from all {facts.rows:,} rows, with its reasons; change what is wrong.")
    names = list(facts.names)

    def at(field: str) -> str:
        return f"bring_{field}_{key}"  # a new file starts with a new guess

    one, two = frame.panels()
    with one:
        label = st.selectbox(
            "Label", names, index=_place(names, guess.label), key=at("label"), placeholder="Choose a column",
            help="What the network is to predict.",
        )  # fmt: skip
        _guessed(guess.label or "nothing", why["label"])
        objective, more = _label_kind(key, facts, label, guess)
        kind: str | None = "text"
        follows = objective == NEXT_TOKENS
        if not follows:
            kind = st.segmented_control(
                "Inputs are", list(_KINDS), format_func=_KINDS.__getitem__, default=guess.kind, key=at("kind"),
                required=True, help="Numbers are standardised; text is read as sentence embeddings, or as tokens by "
                "a Hugging Face model.", wrap=True,
            )  # fmt: skip
        inputs = st.multiselect(
            "Prompt columns" if follows else "Input columns", [name for name in names if name not in (label, *more)],
            default=[name for name in guess.inputs if name not in (label, *more)],
            key=at("prompt" if follows else "inputs"), help=_PROMPT_HELP if follows else None,
        )  # fmt: skip
        _guessed(_listed(guess.inputs), why["inputs"])
    with two:
        classes = objective == CLASSIFICATION
        # words are no numbers to cluster by
        left_out = {"label": not classes, "clusters": follows}
        rules = [rule for rule in _RULES if not left_out.get(rule)]
        rule = st.segmented_control(
            "Tasks are", rules, format_func=_RULES.__getitem__, key=at("rule"),
            default=guess.tasks.kind if guess.tasks.kind in rules else rules[-1] if follows else "clusters",
            required=True,
            help="What is put in and left out: groups of training samples. Several columns are crossed; clusters are "
            "k-means of the inputs.", wrap=True,
        )  # fmt: skip
        columns: tuple[str, ...] = ()
        count = guess.tasks.count
        if rule == "column":
            columns = tuple(st.multiselect("Task columns", names, default=list(guess.tasks.columns), key=at("tasks")))
        elif rule in ("clusters", "slices"):
            count = int(st.number_input("How many tasks", 2, 500, count, key=at("count")))
        _guessed(_listed(guess.tasks.columns) if guess.tasks.columns else _RULES[guess.tasks.kind], why["tasks"])
        split = st.selectbox(
            "Test samples are", ["", *names], index=_place(["", *names], guess.split),
            format_func=lambda name: name or _RANDOM, key=at("split"),
            help="A column that says train or test, or a random part of each task.",
        )  # fmt: skip
        _guessed(guess.split or _RANDOM, why["split"])
        fraction = guess.test_fraction
        if not split:
            fraction = st.slider("Share of test samples", 0.05, 0.5, 0.25, 0.05, key=at("fraction"))
        options = [*(target for target in _TARGETS if target != TARGET_LABEL or classes), *names]
        target = st.selectbox(
            "Targets", options, index=_place(options, guess.target) or 0, key=at("target"),
            format_func=lambda name: _TARGETS.get(name, name),
            help="What is measured: the mean loss of each group of test samples.",
        )  # fmt: skip
        _guessed(_TARGETS.get(guess.target, guess.target), why["target"])
    _left_aside(explained)
    if not label or not (inputs or follows):
        st.info("Choose the label." if not label else "Choose the input columns.", icon=":material/arrow_upward:")
        return None
    if not objective:
        st.info("Say what the label is.", icon=":material/arrow_upward:")
        return None
    try:
        return SampleMapping(
            label=label, inputs=tuple(inputs), kind=cast(InputKind, kind),
            tasks=TaskRule(cast(RuleKind, rule), columns=columns, count=count),
            split=split or "", test_fraction=fraction, target=target, objective=objective, more_labels=more,
        )  # fmt: skip
    except InputError as error:
        refusal(error)
        return None


def _guessed(what: str, reason: str) -> None:
    """Say what was guessed, and why."""
    st.caption(f"Guessed: {plain(what)}. {plain(reason)}")


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4:,} more" if len(names) > 4 else "")
    return shown or "nothing"


def _left_aside(guess: MappingGuess) -> None:
    """List the columns that mean nothing by guess, and why."""
    if guess.left_aside:
        count = len(guess.left_aside)
        with st.expander(f"{count:,} column{'s' if count > 1 else ''} that the guess leaves aside"):
            table = pd.DataFrame({"column": list(guess.left_aside), "why": list(guess.left_aside.values())})
            show_table(table, hide_index=True, alt="Columns left aside, and why")


def _label_kind(key: str, facts: Facts, label: str | None, guess: SampleMapping) -> tuple[str, tuple[str, ...]]:
    """Draw the choice of what the label is, with the guess and its reason, and return it with further labels."""
    if not label:
        return CLASSIFICATION, ()
    # another column is guessed anew: the choice belongs to the column
    free = [name for name in facts.names if name not in guess.tasks.columns and name != guess.split]
    guessed = _label_guess(key, label, tuple(free), facts)
    asked = bool(guessed.question)
    if asked:
        st.info(plain(guessed.question), icon=":material/help:")
    objective = st.segmented_control(
        "The label is", list(_OBJECTIVES), format_func=_OBJECTIVES.__getitem__,
        default=None if asked else guessed.objective, key=f"bring_objective_{key}_{label}", required=not asked,
        help=_OBJECTIVE_HELP, wrap=True,
    )  # fmt: skip
    _guessed(_OBJECTIVES[guessed.objective].lower(), guessed.reason)
    if objective in (None, CLASSIFICATION, NEXT_TOKENS):
        return objective or "", ()
    others = [name for name in facts.names if name != label]
    more = st.multiselect(
        _FURTHER[objective], others, key=f"bring_more_{key}_{label}_{objective}",
        default=[name for name in guessed.more_labels if objective == guessed.objective],
        help="Columns that the network predicts as well.",
    )  # fmt: skip
    return objective, tuple(more)


@st.cache_resource(max_entries=32, show_spinner=False, scope="session")
def _label_guess(key: str, label: str, free: tuple[str, ...], _facts: Facts) -> LabelGuess:
    return guess_label(_facts, label, free=free)


@st.cache_resource(max_entries=8, show_spinner=False, scope="session")
def _guess(key: str, names: tuple[str, ...], _facts: Facts) -> MappingGuess:
    return explain_guess(_facts)


def _place(options: list[Any], value: Any) -> int | None:
    return options.index(value) if value in options else None
