"""How much each task and each target counts: sizes, what follows from either choice, and the choice."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from kernelsm.app.shell import frame
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.uploaded_files import ONE_AT_A_TIME
from kernelsm.app.shell.weighing import WEIGHTING_NAMES, few_samples_sentence
from kernelsm.app.shell.words import plain
from kernelsm.files.accepting import ending_of
from kernelsm.runtime.errors import InputError
from kernelsm.samples.reader import read_samples
from kernelsm.samples.samples import Samples
from kernelsm.tasks.build import group_sizes
from kernelsm.tasks.mapping import TARGET_ALL, SampleMapping
from kernelsm.tasks.weighting import BY_SIZE, EQUALLY, GroupSizes, Weighting
from kernelsm.workspace.requests import FileRef
from kernelsm.workspace.uploads import upload_path

_COUNTED_UP_TO = 16 * 2**20  # bytes of a file that is read whole for this: a second or so
_AS_THE_FILE_SAYS = ""
_TARGET_NAMES: dict[Weighting, str] = {"by_size": "Each test sample", "equally": "Each target"}


def weight_controls(ref: FileRef, mapping: SampleMapping) -> SampleMapping:
    """Draw sizes and choice for a file of samples, and return the mapping with what was chosen."""
    st.markdown("### How much each task counts")
    tasks, targets = _counted(ref, mapping)
    left, right = frame.panels()
    with left:
        chosen = st.segmented_control(
            "Weights of tasks in training", list(WEIGHTING_NAMES), format_func=WEIGHTING_NAMES.__getitem__,
            default=BY_SIZE, required=True, key=f"bring_task_weights_{ref.key}", wrap=True,
        )  # fmt: skip
        st.markdown(consequences(tasks))
        weighting = _target_weights(ref, mapping, targets)
    with right:
        if tasks:
            sizes_table(tasks)
    if tasks:
        notes(replace(tasks, weighting=chosen))
    return replace(mapping, task_weighting=chosen, target_weighting=weighting)


def _target_weights(ref: FileRef, mapping: SampleMapping, targets: GroupSizes | None) -> Weighting:
    """Draw the choice of what counts the same in the mean over targets, where there are several."""
    if mapping.target == TARGET_ALL or (targets and len(targets.sizes) == 1):
        return EQUALLY
    chosen = st.segmented_control(
        "What counts the same in the mean over targets", list(_TARGET_NAMES), format_func=_TARGET_NAMES.__getitem__,
        default=BY_SIZE, required=True, key=f"bring_target_weights_{ref.key}",
        help="Each target's own outcome is the mean over its test samples either way.", wrap=True,
    )  # fmt: skip
    if targets and targets.ratio > 1:
        smallest, largest = (plain(targets.names[at]) for at in (targets.smallest, targets.largest))
        times = _times(targets.ratio)
        st.caption(
            f"{largest} has {max(targets.sizes):,} test samples and counts {times} times as much as {smallest} with "
            f"{min(targets.sizes):,}." if chosen == BY_SIZE
            else f"{smallest} with {min(targets.sizes):,} test samples counts as much as {largest} with "
            f"{max(targets.sizes):,}."
        )  # fmt: skip
    return chosen


def feature_weights(ref: FileRef) -> dict[str, str]:
    """Draw the choices for a file of gradient features; return those that are not the file's own."""
    chosen = {}
    with st.container(horizontal=True, gap="medium"):
        for field, label, names in (
            ("task_weighting", "Weights of tasks in training", WEIGHTING_NAMES),
            ("target_weighting", "What counts the same in the mean over targets", _TARGET_NAMES),
        ):  # fmt: skip
            options: dict[str, str] = {_AS_THE_FILE_SAYS: "As the file says"}
            options.update(names.items())
            chosen[field] = str(st.segmented_control(
                label, list(options), format_func=options.__getitem__, default=_AS_THE_FILE_SAYS, required=True,
                key=f"bring_{field}_{ref.key}", wrap=True,
            ))  # fmt: skip
    st.markdown(consequences(None))
    st.caption("A file that does not say weighs tasks, and targets, equally.")
    return {field: weighting for field, weighting in chosen.items() if weighting != _AS_THE_FILE_SAYS}


def consequences(tasks: GroupSizes | None) -> str:
    """Say what either choice means, with the tasks' own numbers where they are known."""
    by_size = "**By size**: each training sample counts the same, as if all of them were trained on in one pool."
    equally = "**Equally**: each task counts the same, however few samples it has, as in the paper."
    if tasks is None:
        by_size += " A task of few samples can change little."
        equally += " A sample then counts more, the fewer its task has."
    elif tasks.ratio == 1:
        by_size += f" All tasks have {tasks.sizes[0]:,}, so it is the same as equally."
    else:
        smallest, largest = (f"*{plain(tasks.names[at])}*" for at in (tasks.smallest, tasks.largest))
        shares = tasks.shares(BY_SIZE)
        by_size += (
            f" {largest} makes up {_percent(shares[tasks.largest])} of the training loss, {smallest} "
            f"{_percent(shares[tasks.smallest])}."
        )
        equally += (
            f" Each makes up {_percent(1 / len(tasks.sizes))} of the training loss, so one sample of {smallest} "
            f"counts as much as {_times(tasks.ratio)} of {largest}."
        )
    return f"- {by_size}\n- {equally}"


def sizes_table(tasks: GroupSizes) -> None:
    """List the tasks with their sizes and what part of the training loss each is under either choice."""
    table = pd.DataFrame(
        {
            "Task": tasks.names, "Training samples": tasks.sizes,
            "Share by size": tasks.shares(BY_SIZE), "Share equally": tasks.shares(EQUALLY),
        }
    )  # fmt: skip
    share = st.column_config.NumberColumn(format="percent", help="Of the training loss with all tasks in.")
    show_table(
        table, hide_index=True, height=min(38 + 35 * len(table), 260), alt="Training samples of each task",
        column_config={
            "Training samples": st.column_config.NumberColumn(format="localized"), "Share by size": share,
            "Share equally": share,
        },
    )  # fmt: skip


def notes(tasks: GroupSizes) -> None:
    """Say where the choice matters much, and which tasks are too small to say much."""
    if tasks.is_uneven:
        st.warning(
            f"The choice matters here: the largest task has {_times(tasks.ratio)} times as many samples as the "
            "smallest, so the two weightings train different networks and can find different effects.",
            icon=":material/balance:",
        )
    if sentence := few_samples_sentence(tasks):
        st.warning(sentence, icon=":material/info:")


def _counted(ref: FileRef, mapping: SampleMapping) -> tuple[GroupSizes | None, GroupSizes | None]:
    """Count tasks and targets; None, and a word on it, where they are not known yet."""
    path = upload_path(ref.key, ending_of(ref.name))
    if path.stat().st_size > _COUNTED_UP_TO:
        st.caption("The file is large: its tasks are counted when it is checked and prepared below.")
        return None, None
    try:
        tasks, targets = group_sizes(_whole(ref.key, ref.name), mapping)
    except InputError as error:
        st.caption(f"Tasks cannot be counted yet: {plain(error.place)}: {plain(error.found)}. {plain(error.fix)}")
        return None, None
    if tasks is None:
        st.caption("Clusters are found and counted when the file is checked and prepared below.")
    return tasks, targets


@st.cache_resource(max_entries=4, show_spinner="Counting samples ...")
def _whole(key: str, name: str) -> Samples:
    with ONE_AT_A_TIME:
        return read_samples(upload_path(key, ending_of(name)), name)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{100 * share:.2g} %".replace(" ", "")


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"
