"""The job that writes a file to take away, where that takes long: with progress, stoppable, and kept by the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from kernelsm.evaluation.two_views import compare_views
from kernelsm.evaluation.views import View
from kernelsm.examples.catalog import EXAMPLES, PROMPT_EXAMPLES, load_example, load_truth
from kernelsm.export.notebook import notebook_zip
from kernelsm.export.result import Result, Settings, result_of
from kernelsm.export.tables import seconds_for_all_pairs, tables_zip
from kernelsm.outcomes.table import Outcomes
from kernelsm.prompts.orders import with_noise
from kernelsm.runtime.checks import check_choice
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.job import JobSpec
from kernelsm.runtime.progress import Report, Stages
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.workspace.tables import TABLES, load_run_orders

T = TypeVar("T")
FILES = ChunkKind("taken_away", version=1)
KINDS = ("report", "notebook", "tables")
START_SECONDS = 3.0
"""About how long the process of a job takes to begin."""


@dataclass(frozen=True)
class Compared:
    """Two views that a report sets side by side: the table and the settings of each, and what they are called."""

    tables: tuple[str, str]
    settings: tuple[Settings, Settings]
    titles: tuple[str, str]


@dataclass(frozen=True)
class FileToWrite:
    """What is to be written.

    Parameters
    ----------
    kind : {"report", "notebook", "tables"}
    table : str
        Name of an example, or key of a table that is kept here.
    named : str
        How a command names the table.
    title : str
        What the run is called.
    settings : Settings
    link : str
        Address of the view; "" for none.
    beside : tuple of Compared
        For reports: what stands beside the view.
    """

    kind: str
    table: str
    named: str
    title: str
    settings: Settings
    link: str = ""
    beside: tuple[Compared, ...] = field(default=())

    def job(self) -> JobSpec:
        """The job that writes it."""
        return JobSpec("kernelsm.export.written_file:run", asdict(self))

    def seconds(self, K: int, m: int) -> float:
        """About how long writing takes, of a table of K tasks with m subsets."""
        return START_SECONDS + sum(self._stages(K, m).values())

    def _stages(self, K: int, m: int) -> dict[str, float]:
        stages = {"fitting and testing": seconds_to_fit(K, m)}
        if self.kind == "tables":
            stages["intervals of pairs"] = seconds_for_all_pairs(K, m)
        if self.beside:
            stages["comparing"] = len(self.beside) * seconds_to_compare(K, m)
        return stages

    def write(self, report: Report, root: Path | None = None) -> bytes:
        """Compute the result and return the file."""
        outcomes = _outcomes(self.table, root)
        stages = Stages(report, self._stages(outcomes.K, outcomes.m))
        example = EXAMPLES.get(self.table)
        stages.stage("fitting and testing")(0, 1, "fitting and testing", reused=None)
        result = result_of(
            outcomes, self.settings, title=self.title, table=self.named,
            is_example=self.table in EXAMPLES or self.table in PROMPT_EXAMPLES, link=self.link,
            truth=load_truth(self.table) if example else None, truth_is=example.truth_is if example else "",
        )  # fmt: skip
        stages.stage("fitting and testing")(1, 1, "fitting and testing", reused=None)
        if self.kind == "tables":
            return tables_zip(result, stages.stage("intervals of pairs"))
        return notebook_zip(result) if self.kind == "notebook" else self._report(result, stages, root)

    def _report(self, result: Result, stages: Stages, root: Path | None) -> bytes:
        # imported here: the others need neither Plotly nor Jinja2
        from kernelsm.export.report import html_report
        from kernelsm.export.report_comparison import Beside

        beside = []
        for place, one in enumerate(self.beside):
            stages.stage("comparing")(place, len(self.beside), "views compared", reused=None)
            views = [_view(*side, root) for side in zip(one.tables, one.settings, strict=True)]
            try:
                beside.append(Beside(one.titles, compare_views(*views)))
            except InputError as error:
                beside.append(Beside(one.titles, None, str(error)))
        return html_report(result, written=date.today().isoformat(), beside=beside).encode()


def written_by(job: str, store: Store) -> bytes | None:
    """Return the file that the job of a key wrote; None where it is not in the store."""
    found = store.find(FILES, (job,))
    return found if isinstance(found, bytes) else None


def run(report: Report, store: Store, **arguments: Any) -> dict[str, Any]:
    """Job: write the file into the store, where `written_by` finds it."""
    wanted = _read(arguments)
    store.chunk(FILES, (wanted.job().key,), lambda: wanted.write(report, store.root.parent))
    return {"written": wanted.kind}


def _read(arguments: dict[str, Any]) -> FileToWrite:
    """The file of a job's arguments, which are JSON."""
    check_choice("kind of file", arguments["kind"], KINDS)
    beside = tuple(
        Compared(
            _pair(one["tables"]), _pair([Settings(**settings) for settings in one["settings"]]), _pair(one["titles"])
        )
        for one in arguments["beside"]
    )
    return FileToWrite(**{**arguments, "settings": Settings(**arguments["settings"]), "beside": beside})


def _pair(sides: Sequence[T]) -> tuple[T, T]:
    first, second = sides
    return first, second


def seconds_to_fit(K: int, m: int) -> float:
    """About how long fitting and testing a table takes; measured for 20 to 500 tasks, and twice that to be safe."""
    return 2 * (0.5 + 6e-7 * m**2 + 2e-3 * K)


def seconds_to_compare(K: int, m: int) -> float:
    """About how long it takes to compare two views of one table, each fitted anew."""
    return 3 * seconds_to_fit(K, m)


def _view(table: str, settings: Settings, root: Path | None) -> View:
    kernel, gamma, ridge = settings.surrogate()
    outcomes = _outcomes(table, root)
    outcomes = outcomes if settings.used is None else outcomes.take(range(settings.used))
    return View(outcomes, settings.target, kernel, gamma, ridge, settings.readout)


def _outcomes(table: str, root: Path | None) -> Outcomes:
    """The table as the pages show it."""
    if table in EXAMPLES or table in PROMPT_EXAMPLES:
        return load_example(table)
    return with_noise(TABLES.load(table, root), load_run_orders(table, root))
