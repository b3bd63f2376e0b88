"""The parts of the Data & model page: the gallery of examples and the upload of an outcomes table."""

from __future__ import annotations

import streamlit as st

from kernelsm.app.shell import disk, frame, navigation, session
from kernelsm.app.shell.open_runs import open_run
from kernelsm.app.shell.shown_tables import show_table
from kernelsm.app.shell.uploaded_files import check_room
from kernelsm.app.shell.view import MOST_SUBSETS
from kernelsm.app.shell.words import plain
from kernelsm.examples.catalog import built_in, load_example
from kernelsm.export.csv_text import csv_text
from kernelsm.files.limits import limits
from kernelsm.outcomes.table import Outcomes
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.near_ties import varies
from kernelsm.workspace.tables import TABLES, keep_brought

_UPLOAD, _BETTER, _TAKEN = "kernelsm_upload", "kernelsm_upload_better", "kernelsm_upload_taken"
_PREVIEW_ROWS, _PREVIEW_COLUMNS = 8, 60

FORMAT = """\
One row per subset. Column names say what a column is:

- `task:NAME` holds 1 where the task was in the subset and 0 where it was not;
- `target:NAME` holds the outcome measured with that subset, a number.

CSV or TSV with a header, Excel (.xlsx), JSON lines, JSON (a list of rows) or Parquet; text may be gzip'd. NPZ and
JSON may instead hold `masks` (m, K), `values` (m, q) and, if you like, `task_names` and `target_names`. The two JSON
lists that the paper's authors publish (tasks in each subset, outcomes of each subset) are read together. At most
{subsets:,} subsets, {tasks:,} tasks, {targets:,} targets, {megabytes:,} MiB.
"""


def gallery() -> None:
    """Draw one card per built-in example."""
    st.header("Built-in examples")
    examples = list(built_in().values())
    for column, example in zip(frame.panels(len(examples), 320, border=True), examples, strict=True):
        with column:
            st.markdown(f"**{example.title}**")
            st.markdown(example.summary)
            outcomes = open_run(example.name).outcomes
            st.caption(
                f"{outcomes.m} subsets · {outcomes.K} tasks · {outcomes.q} target{'s' if outcomes.q > 1 else ''}"
            )
            shown = session.view().run == example.name
            st.button(
                "Open" if not shown else "Open now", key=f"open_{example.name}", disabled=shown,
                on_click=session.look_at, args=(example.name,), icon=":material/folder_open:",
            )  # fmt: skip


def upload() -> None:
    """Draw the upload of a table: format, template, file, preview, and where to go with it."""
    left, right = frame.panels()
    bounds = limits()
    with right:
        st.markdown(
            FORMAT.format(
                subsets=MOST_SUBSETS, tasks=bounds.tasks, targets=bounds.targets, megabytes=bounds.megabytes
            )
        )
        template = csv_text(load_example("planted").take(range(12)).to_frame().round(4))
        st.download_button(
            "Download a small template", template, "outcomes-template.csv", "text/csv", icon=":material/download:"
        )
    with left:
        better = st.toggle(
            "Higher is better", key=_BETTER, persist_state="session",
            help="On for a score such as accuracy, off for a loss. A Parquet file saved by kernelsm knows it itself.",
        )  # fmt: skip
        files = st.file_uploader(
            "Outcomes table (CSV, Excel, Parquet, JSON or NPZ)", key=_UPLOAD, max_upload_size=bounds.megabytes,
            accept_multiple_files=True,
        )  # fmt: skip
        if not files:
            return
        name = " and ".join(file.name for file in files)
        try:
            check_room(sum(file.size for file in files))
            contents = [(file.getvalue(), file.name) for file in files]
            outcomes = Outcomes.from_files(contents, higher_is_better=better)
            if outcomes.m > MOST_SUBSETS:
                fix = "Upload a random sample of the rows."
                raise InputError(name, f"{outcomes.m:,} subsets", f"at most {MOST_SUBSETS:,}", fix)
        except InputError as error:
            refusal(error)
            return
        if _taken(outcomes, name, tuple(file.file_id for file in files)):
            _accepted(outcomes, name)


def refusal(error: InputError) -> None:
    """Say what is wrong with an upload, and how to fix it."""
    st.error(
        f"**{plain(error.place)}**\n\n"
        f"Found {plain(error.found)}; expected {plain(error.expected)}.\n\n{plain(error.fix)}",
        icon=":material/error:",
    )
    st.caption("Nothing else changed: the run shown before is still there.")


def _taken(outcomes: Outcomes, name: str, files: tuple[str, ...]) -> bool:
    """Keep a table when its files are new; drawn again, it may have another name by now, or be deleted."""
    run = outcomes.content_hash
    known: set[tuple[str, ...]] = st.session_state.setdefault(_TAKEN, set())
    if (*files, run) not in known:
        known.add((*files, run))
        session.bring(TABLES, keep_brought(outcomes), name)
    if run not in session.titles(TABLES):
        st.info("It was deleted since: upload it again to see it.", icon=":material/info:")
        return False
    return True


def _accepted(outcomes: Outcomes, name: str) -> None:
    run = outcomes.content_hash
    kind = "scores (higher is better)" if outcomes.higher_is_better else "losses (lower is better)"
    st.success(
        f"Read {plain(name)}: {outcomes.m:,} subsets of {outcomes.K} tasks, {outcomes.q} "
        f"target{'s' if outcomes.q > 1 else ''}, {kind}.",
        icon=":material/check:",
    )
    for note in _notes(outcomes):
        st.warning(note, icon=":material/info:")
    fit, explore = st.columns(2)
    fit.button(
        "Fit it", type="primary", width="stretch", icon=":material/tune:", on_click=_open, args=(run, navigation.FIT)
    )
    explore.button(
        "Explore it", width="stretch", icon=":material/hub:", on_click=_open, args=(run, navigation.EXPLORE)
    )
    preview = outcomes.take(range(min(_PREVIEW_ROWS, outcomes.m))).to_frame()
    columns = preview.columns
    wide = len(columns) > _PREVIEW_COLUMNS
    if wide:
        half = _PREVIEW_COLUMNS // 2
        preview = preview[[*columns[:half], *columns[-half:]]]
    st.caption(
        f"First {len(preview)} rows"
        + (f", first and last {_PREVIEW_COLUMNS // 2} of {len(columns)} columns" if wide else "")
    )
    show_table(preview, hide_index=True, alt=f"First rows of {name}")


@disk.callback
def _open(run: str, page: str) -> None:
    session.look_at(run)
    navigation.go(page)


def _notes(outcomes: Outcomes) -> list[str]:
    """Things that are allowed but worth knowing."""
    written = outcomes.meta.get("notes")
    notes = [plain(note) for note in written if isinstance(note, str)] if isinstance(written, list) else []
    always = [outcomes.task_names[k] for k in range(outcomes.K) if outcomes.masks[:, k].all()]
    never = [outcomes.task_names[k] for k in range(outcomes.K) if not outcomes.masks[:, k].any()]
    for names, word in ((always, "in every"), (never, "in no")):
        if names:
            shown = ", ".join(plain(name) for name in names[:3]) + (" ..." if len(names) > 3 else "")
            notes.append(f"{shown}: {word} subset, so the data cannot say what it does.")
    varied = varies(outcomes.values)
    constant = [name for name, varying in zip(outcomes.target_names, varied, strict=True) if not varying]
    if constant:
        notes.append(
            f"{len(constant)} target(s) have the same outcome in every subset, for example {plain(constant[0])}."
        )
    if outcomes.m < 2 * outcomes.K:
        notes.append(f"{outcomes.m} subsets for {outcomes.K} tasks are few: expect wide errors, pairs above all.")
    return notes
