"""The result of a view, ready to be taken away; files are cached by the view that they are of.

What is taken away is what a link shows: the table of outcomes and what is read off it, never samples or networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import streamlit as st

from kernelsm.app.compare.found import Named, compared, named
from kernelsm.app.shell import pins
from kernelsm.app.shell.fits import fitted, held_out, read_off
from kernelsm.app.shell.open_runs import Run, open_run, shown_readout
from kernelsm.app.shell.view import ViewState
from kernelsm.evaluation.fidelity import A_FIFTH, Fidelity, fidelity_of
from kernelsm.export.csv_text import csv_text
from kernelsm.export.result import Result, Settings
from kernelsm.export.written_file import Compared, FileToWrite
from kernelsm.runtime.errors import InputError

if TYPE_CHECKING:
    from kernelsm.export.report_comparison import Beside

_FEWEST_TO_TEST = 10
MOST_COPIED = 1000


def settings_of(run: Run, view: ViewState) -> Settings:
    """What the sliders of a view say."""
    kernel, gamma, ridge = view.surrogate
    return Settings(view.target, kernel, gamma, ridge, shown_readout(run.first(view.used), view.readout), view.used)


def table_name(run: Run, title: str) -> str:
    """How a command names a run's table: an example by its name, any other as the file that is downloaded."""
    return run.key if run.title else f"{file_stem(title)}.parquet"


def file_stem(title: str) -> str:
    """A title as the name of a file: letters and digits of any language, and hyphens."""
    stem = "-".join("".join(letter if letter.isalnum() else " " for letter in title).split())
    return stem[:60] or "result"


def result_of_view(key: str, title: str, settings: Settings, link: str) -> Result:
    """Gather what Explore and Fit show of a run; what they have fitted is not fitted again."""
    run = open_run(key).first(settings.used)
    fit = run.fits, settings.target, *settings.surrogate()
    return Result(
        title, table_name(run, title), bool(run.title), run.outcomes, settings, fitted(*fit),
        read_off(*fit, settings.readout), _fidelity(run, settings), link,
    )  # fmt: skip


def _fidelity(run: Run, settings: Settings) -> Fidelity | None:
    """The scores of the Fit page."""
    on_truth = run.truth is not None
    if not on_truth and run.outcomes.m < _FEWEST_TO_TEST:
        return None
    found = held_out(run.fits, *settings.surrogate(), on_truth)
    return fidelity_of(
        found.observed, found.predicted, found.std, found.linear, fitted=found.trained_on, target=settings.target,
        tested_on=run.example.truth_is if on_truth and run.example else A_FIFTH,
        degrees_of_freedom=found.degrees_of_freedom, choice=found.chosen,
    )  # fmt: skip


ToCompare = tuple[Named, Named, tuple[str, str]]
"""Two views and what they are called."""


def beside_of(pairs: Sequence[tuple[ViewState, ViewState]]) -> tuple[ToCompare, ...]:
    """What a report sets beside its view."""
    return tuple((named(first), named(second), _titles(first, second)) for first, second in pairs)


def _titles(first: ViewState, second: ViewState) -> tuple[str, str]:
    names = pins.names_of([first, second])
    return names[0], names[1]


# a report is 5 MB, of which 4.8 are the drawing library
@st.cache_data(max_entries=16, show_spinner=False)
def report_file(key: str, title: str, settings: Settings, link: str, beside: tuple[ToCompare, ...] = ()) -> bytes:
    """The HTML report of a view, with the comparisons that stand beside it."""
    from kernelsm.export.report import html_report

    result = result_of_view(key, title, settings, link)
    return html_report(result, written=date.today().isoformat(), beside=[_beside(*one) for one in beside]).encode()


def _beside(first: Named, second: Named, titles: tuple[str, str]) -> Beside:
    from kernelsm.export.report_comparison import Beside

    try:
        return Beside(titles, compared(first, second))
    except InputError as error:
        return Beside(titles, None, str(error))


def file_to_write(
    kind: str,
    run: Run,
    title: str,
    settings: Settings,
    link: str,
    pairs: Sequence[tuple[ViewState, ViewState]] = (),
) -> FileToWrite:
    """The same as a job writes it, where it takes long."""
    beside = tuple(
        Compared(
            (first.run, second.run),
            (settings_of(open_run(first.run), first), settings_of(open_run(second.run), second)),
            _titles(first, second),
        )
        for first, second in pairs
    )
    return FileToWrite(kind, run.key, table_name(run, title), title, settings, link, beside)


@st.cache_data(max_entries=16, show_spinner=False)
def notebook_file(key: str, title: str, settings: Settings, link: str) -> bytes:
    """The notebook of a view with its data."""
    from kernelsm.export.notebook import notebook_zip

    return notebook_zip(result_of_view(key, title, settings, link))


@st.cache_data(max_entries=16, show_spinner=False)
def tables_file(key: str, title: str, settings: Settings) -> bytes:
    """All tables of a view."""
    from kernelsm.export.tables import tables_zip

    return tables_zip(result_of_view(key, title, settings, ""))


@st.cache_data(max_entries=16, show_spinner=False)
def table_to_copy(key: str, title: str, settings: Settings, name: str) -> tuple[str, int]:
    """Effects or the strongest pairs, as text to paste into a spreadsheet, and how many pairs are left out."""
    from kernelsm.export.tables import effects_table, pairs_table

    run = open_run(key).first(settings.used)
    fit = run.fits, settings.target, *settings.surrogate()
    result = Result(
        title, key, bool(run.title), run.outcomes, settings, fitted(*fit), read_off(*fit, settings.readout)
    )
    if name == "effects":
        return csv_text(effects_table(result), "\t"), 0
    shown = pairs_table(result, all_pairs=False).iloc[:MOST_COPIED]
    K = run.outcomes.K
    return csv_text(shown, "\t"), K * (K - 1) // 2 - len(shown)


@st.cache_data(max_entries=16, show_spinner=False)
def table_file(key: str) -> bytes:
    """The table of outcomes alone, as Parquet, which the command line reads."""
    from kernelsm.export.notebook import table_bytes

    return table_bytes(open_run(key).outcomes)
