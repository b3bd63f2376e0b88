"""The dialog Take away: report, notebook and tables of the view as files, and the view as code."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

import streamlit as st

from kernelsm.app.compare.reported import reported_pairs
from kernelsm.app.shell import disk, session
from kernelsm.app.shell.open_runs import Run, open_run
from kernelsm.app.shell.words import duration, plain
from kernelsm.app.take_away import results
from kernelsm.app.take_away.long_files import long_file
from kernelsm.export.as_code import command_line, python_code
from kernelsm.export.result import CITATION, Settings
from kernelsm.export.tables import seconds_for_all_pairs
from kernelsm.export.written_file import START_SECONDS, FileToWrite
from kernelsm.workspace.tables import TABLES

_SLOW = 6.0
"""Seconds expected, above which a file is written with progress: about three in truth, with nothing fitted yet."""
_TABLES = {"effects": "Effects", "pairs": "Pairs"}
_MOST_SECONDS = 1800.0


@st.dialog("Take away", width="medium", icon=":material/download:")
@disk.telling
def show() -> None:
    """Draw the dialog for the view of this session."""
    view = session.view()
    run = open_run(view.run)
    title = run.title or session.titles(TABLES).get(run.key, TABLES.title(run.key))
    settings = results.settings_of(run, view)
    st.markdown(
        f"**{plain(title)}** as you see it, with this target, kernel, γ, ridge and readout{_used(run, settings)}. "
        "The files hold the table of outcomes and what is read off it, never samples or networks."
    )
    _files(run, title, settings)
    _clipboard(run, title, settings)
    _code(run, title, settings)
    with st.expander("Citation", icon=":material/format_quote:"):
        st.code(CITATION, language="bibtex", wrap_lines=True)


def _used(run: Run, settings: Settings) -> str:
    return "" if settings.used is None else f", fitted on the first {settings.used:,} of {run.m:,} subsets"


def _files(run: Run, title: str, settings: Settings) -> None:
    stem, link, pairs = results.file_stem(title), _link(), reported_pairs()
    named = run.key, title, settings
    largest = max((run, *(open_run(side.run) for pair in pairs for side in pair)), key=lambda one: one.m)
    _file(
        "Report (HTML)", partial(results.report_file, *named, link, results.beside_of(pairs)), f"{stem}.html",
        "text/html",
        "One file that opens without a network and prints: verdict, charts, tables, fidelity, settings, citation"
        f"{_with_comparisons(len(pairs))}.",
        results.file_to_write("report", run, title, settings, link, pairs), largest, icon=":material/description:",
    )  # fmt: skip
    _file(
        "Notebook and data (zip)", partial(results.notebook_file, *named, link), f"{stem}-notebook.zip",
        "application/zip", "Runs from top to bottom with `pip install 'kernelsm[app]'` and gives the same numbers.",
        results.file_to_write("notebook", run, title, settings, link), run, icon=":material/code_blocks:",
    )  # fmt: skip
    K, m = run.outcomes.K, run.outcomes.m
    seconds = seconds_for_all_pairs(K, m)
    if seconds > _MOST_SECONDS:
        st.caption(
            f"All tables hold intervals of {K * (K - 1) // 2:,} pairs, which take {duration(seconds)}: write them "
            "with `python -m kernelsm tables`, as *As code* says."
        )
    else:
        _file(
            "All tables (zip)", partial(results.tables_file, *named), f"{stem}-tables.zip", "application/zip",
            "Effects, pairs (long and K × K) and predictions with 90% intervals, each as CSV and Parquet.",
            results.file_to_write("tables", run, title, settings, ""), run, icon=":material/table:",
        )  # fmt: skip
    st.download_button(
        "Outcomes (Parquet)", partial(results.table_file, run.key), f"{stem}.parquet", "application/octet-stream",
        icon=":material/grid_on:", on_click="ignore", width="stretch", key="take_Outcomes (Parquet)",
    )  # fmt: skip
    st.caption("The measured subsets and their outcomes, as the command line and *Data & model* read them.")


def _with_comparisons(count: int) -> str:
    """Say that a report holds comparisons of views."""
    if not count:
        return ""
    what = "the comparison of two views" if count == 1 else f"{count} comparisons of two views"
    return f", and {what} that *Compare* shows"


def _file(
    label: str, make: partial[bytes], name: str, mime: str, says: str, file: FileToWrite, run: Run, *, icon: str
) -> None:
    """Offer a file: at once where it is written in a moment, else by a job."""
    seconds = file.seconds(run.outcomes.K, run.outcomes.m)
    if seconds - START_SECONDS > _SLOW:
        long_file(label, file, name, mime, seconds, icon=icon)
    else:  # written when it is asked for: opening the dialog waits for nothing
        st.download_button(
            label, make, name, mime, icon=icon, on_click="ignore", width="stretch", key=f"take_{label}"
        )
    st.caption(says)


def _clipboard(run: Run, title: str, settings: Settings) -> None:
    with st.expander(
        "Copy a table", icon=":material/content_copy:", key="take_away_copy", on_change="rerun"
    ) as place:
        if not place.open:
            return
        names = list(_TABLES)[: 1 if run.outcomes.K < 2 else None]
        chosen = st.segmented_control(
            "Table", names, format_func=_TABLES.__getitem__, default=names[0], required=True, key="take_away_table"
        )
        text, left_out = results.table_to_copy(run.key, title, settings, chosen)
        st.code(text, language=None, height=240)
        st.caption(
            "Copy with the button in its corner, and paste into a spreadsheet."
            + (
                f" These are the strongest pairs; *All tables* has the other {left_out:,} as well."
                if left_out
                else ""
            )
        )


def _code(run: Run, title: str, settings: Settings) -> None:
    table = results.table_name(run, title)
    stem = results.file_stem(title)
    with st.expander("As code", icon=":material/terminal:"):
        if not run.title:
            st.caption(f"Both read the file from *Outcomes (Parquet)* above, {plain(table)}.")
        st.code(
            "\n".join(
                command_line(run.outcomes, settings, table, command, out)
                for command, out in (("fit", ""), ("report", f"{stem}.html"), ("tables", f"{stem}-tables.zip"))
            ),
            language="bash", wrap_lines=True,
        )  # fmt: skip
        st.code(
            python_code(run.first(settings.used).outcomes, settings, table, is_example=bool(run.title)),
            language="python",
            wrap_lines=True,
        )


def _link() -> str:
    base = (st.context.url or "").split("?")[0]
    params = session.view().to_params()
    return f"{base}?{urlencode(params)}" if params and base else base
