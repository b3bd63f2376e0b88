"""Controls that say what the columns of a file mean; each starts with a guess."""

from __future__ import annotations

from typing import Any, cast

import streamlit as st

from kernelsm.app.data.gallery import refusal
from kernelsm.app.shell import frame
from kernelsm.runtime.errors import InputError
from kernelsm.samples.samples import Samples
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

_KINDS = {"tabular": "Numbers", "text": "Text", "image": "Images", "tokens": "Tokens"}
_RULES = {"column": "Columns", "label": "Labels", "clusters": "Clusters", "slices": "Random slices"}
_TARGETS = {TARGET_ALL: "all together", TARGET_TASK: "by task", TARGET_LABEL: "by label"}
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
            help="The class that the network is to predict.",
        )  # fmt: skip
        kind = st.segmented_control(
            "Inputs are", list(_KINDS), format_func=_KINDS.__getitem__, default=guess.kind, key=at("kind"),
            required=True, help="Numbers are standardised; text is read as sentence embeddings, or as tokens by a "
            "Hugging Face model.",
        )  # fmt: skip
        inputs = st.multiselect(
            "Input columns", [name for name in names if name != label],
            default=[name for name in guess.inputs if name != label], key=at("inputs"),
        )  # fmt: skip
    with two:
        rule = st.segmented_control(
            "Tasks are", list(_RULES), format_func=_RULES.__getitem__, default=guess.tasks.kind, key=at("rule"),
            required=True, help="What is put in and left out: groups of training samples. Several columns are "
            "crossed; clusters are k-means of the inputs.",
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
        options = [*_TARGETS, *names]
        target = st.selectbox(
            "Targets", options, index=_place(options, guess.target) or 0, key=at("target"),
            format_func=lambda name: _TARGETS.get(name, name),
            help="What is measured: the mean loss of each group of test samples.",
        )  # fmt: skip
    if not label or not inputs:
        st.info("Choose the label." if not label else "Choose the input columns.", icon=":material/arrow_upward:")
        return None
    try:
        return SampleMapping(
            label=label, inputs=tuple(inputs), kind=cast(InputKind, kind),
            tasks=TaskRule(cast(RuleKind, rule), columns=columns, count=count),
            split=split or "", test_fraction=fraction, target=target,
        )  # fmt: skip
    except InputError as error:
        refusal(error)
        return None


@st.cache_resource(max_entries=8, show_spinner=False)
def _guess(key: str, names: tuple[str, ...], _samples: Samples) -> SampleMapping:
    return guess_mapping(_samples)


def _place(options: list[Any], value: Any) -> int | None:
    return options.index(value) if value in options else None
