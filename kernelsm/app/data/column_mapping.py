"""Controls that say what the columns of a file mean; each starts with a guess."""

from __future__ import annotations

from typing import Any, cast

import streamlit as st

from kernelsm.app.data.gallery import refusal
from kernelsm.app.shell import frame
from kernelsm.runtime.errors import InputError
from kernelsm.samples.samples import Samples
from kernelsm.tasks.label_guess import LabelGuess, guess_label
from kernelsm.tasks.mapping import (
    TARGET_ALL,
    TARGET_LABEL,
    TARGET_TASK,
    InputKind,
    RuleKind,
    SampleMapping,
    TaskRule,
    guess_mapping,
)
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


def mapping_controls(key: str, samples: Samples) -> SampleMapping | None:
    """Draw the controls for one file, named by its key, and return what was chosen; None where it cannot be used."""
    guess = _guess(key, samples.names, samples)
    st.markdown("### What the columns mean")
    st.caption("A first guess; change what is wrong.")
    names = list(samples.names)

    def at(field: str) -> str:
        return f"bring_{field}_{key}"  # a new file starts with a new guess

    one, two = frame.panels()
    with one:
        label = st.selectbox(
            "Label", names, index=_place(names, guess.label), key=at("label"), placeholder="Choose a column",
            help="What the network is to predict.",
        )  # fmt: skip
        objective, more = _label_kind(key, samples, label, guess)
        kind: str | None = "text"
        follows = objective == NEXT_TOKENS
        if not follows:
            kind = st.segmented_control(
                "Inputs are", list(_KINDS), format_func=_KINDS.__getitem__, default=guess.kind, key=at("kind"),
                required=True, help="Numbers are standardised; text is read as sentence embeddings, or as tokens by "
                "a Hugging Face model.",
            )  # fmt: skip
        inputs = st.multiselect(
            "Prompt columns" if follows else "Input columns", [name for name in names if name not in (label, *more)],
            default=[name for name in guess.inputs if name not in (label, *more)],
            key=at("prompt" if follows else "inputs"), help=_PROMPT_HELP if follows else None,
        )  # fmt: skip
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
            "k-means of the inputs.",
        )  # fmt: skip
        columns: tuple[str, ...] = ()
        count = guess.tasks.count
        if rule == "column":
            columns = tuple(st.multiselect("Task columns", names, default=list(guess.tasks.columns), key=at("tasks")))
        elif rule in ("clusters", "slices"):
            count = int(st.number_input("How many tasks", 2, 500, count, key=at("count")))
        split = st.selectbox(
            "Test samples are", ["", *names], index=_place(["", *names], guess.split),
            format_func=lambda name: name or _RANDOM, key=at("split"),
            help="A column that says train or test, or a random part of each task.",
        )  # fmt: skip
        fraction = guess.test_fraction
        if not split:
            fraction = st.slider("Share of test samples", 0.05, 0.5, 0.25, 0.05, key=at("fraction"))
        options = [*(target for target in _TARGETS if target != TARGET_LABEL or classes), *names]
        target = st.selectbox(
            "Targets", options, index=_place(options, guess.target) or 0, key=at("target"),
            format_func=lambda name: _TARGETS.get(name, name),
            help="What is measured: the mean loss of each group of test samples.",
        )  # fmt: skip
    if not label or not (inputs or follows):
        st.info("Choose the label." if not label else "Choose the input columns.", icon=":material/arrow_upward:")
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


def _label_kind(key: str, samples: Samples, label: str | None, guess: SampleMapping) -> tuple[str, tuple[str, ...]]:
    """Draw the choice of what the label is, with the guess and its reason, and return it with further labels."""
    if not label:
        return CLASSIFICATION, ()
    # another column is guessed anew: the choice belongs to the column
    free = [name for name in samples.names if name not in guess.tasks.columns and name != guess.split]
    guessed = _label_guess(key, label, tuple(free), samples)
    objective = st.segmented_control(
        "The label is", list(_OBJECTIVES), format_func=_OBJECTIVES.__getitem__, default=guessed.objective,
        key=f"bring_objective_{key}_{label}", required=True, help=_OBJECTIVE_HELP,
    )  # fmt: skip
    st.caption(f"Guessed: {_OBJECTIVES[guessed.objective].lower()}. {guessed.reason}")
    if objective in (CLASSIFICATION, NEXT_TOKENS):
        return objective, ()
    others = [name for name in samples.names if name != label]
    more = st.multiselect(
        _FURTHER[objective], others, key=f"bring_more_{key}_{label}_{objective}",
        default=[name for name in guessed.more_labels if objective == guessed.objective],
        help="Columns that the network predicts as well.",
    )  # fmt: skip
    return objective, tuple(more)


@st.cache_resource(max_entries=32, show_spinner=False, scope="session")
def _label_guess(key: str, label: str, free: tuple[str, ...], _samples: Samples) -> LabelGuess:
    return guess_label(_samples, label, free=free)


@st.cache_resource(max_entries=8, show_spinner=False, scope="session")
def _guess(key: str, names: tuple[str, ...], _samples: Samples) -> SampleMapping:
    return guess_mapping(_samples)


def _place(options: list[Any], value: Any) -> int | None:
    return options.index(value) if value in options else None
