"""Files that a job writes: the same as those written at once, with progress, stoppable, and found again."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from results import planted

from kernelsm import load_example
from kernelsm.export.result import Settings
from kernelsm.export.tables import tables_zip
from kernelsm.export.written_file import Compared, FileToWrite, run, written_by
from kernelsm.runtime.progress import Cancelled, silent
from kernelsm.runtime.store import Store
from kernelsm.workspace.tables import save_run

AUTO = Settings()


def write(file: FileToWrite, store: Store, report=silent) -> bytes:
    arguments = json.loads(json.dumps(asdict(file)))  # as a job hands them over
    assert run(report, store, **arguments) == {"written": file.kind}
    found = written_by(file.job().key, store)
    assert found is not None
    return found


def test_the_tables_are_those_that_are_written_at_once(tmp_path: Path) -> None:
    file = FileToWrite("tables", "planted", "planted", "Planted game", AUTO)
    store = Store(tmp_path)
    assert written_by(file.job().key, store) is None
    told: list[tuple[int, int]] = []
    packed = zipfile.ZipFile(io.BytesIO(write(file, store, lambda done, total, *_, **__: told.append((done, total)))))
    expected = zipfile.ZipFile(io.BytesIO(tables_zip(planted())))
    assert packed.namelist() == expected.namelist()
    for name in ("effects", "interactions", "predictions"):
        pd.testing.assert_frame_equal(
            *(pd.read_parquet(io.BytesIO(archive.read(f"{name}.parquet"))) for archive in (packed, expected)),
            atol=1e-9,
        )
    assert len(told) >= 3
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert all(done <= total for done, total in told)


def test_a_report_of_a_table_of_ones_own_holds_the_views_beside_it(tmp_path: Path) -> None:
    outcomes = load_example("planted")
    key = save_run(outcomes.take(range(80)), tmp_path)
    rbf, linear = Settings(kernel="rbf"), Settings(kernel="linear")
    beside = Compared((key, "planted"), (rbf, linear), ("mine", "the planted game"))
    file = FileToWrite("report", key, "mine.parquet", "Mine", rbf, "https://example.org", (beside,))
    page = write(file, Store(tmp_path)).decode()
    assert "<li>mine</li><li>the planted game</li>" in page
    assert "Effects in both views" in page
    assert "https://example.org" in page


def test_what_cannot_be_compared_does_not_keep_a_report_from_being_written(tmp_path: Path) -> None:
    rbf = Settings(kernel="rbf")
    beside = Compared(("planted", "digits"), (rbf, rbf), ("planted", "digits"))
    page = write(FileToWrite("report", "planted", "planted", "x", rbf, "", (beside,)), Store(tmp_path)).decode()
    assert "at least one task of the same name" in page


def test_writing_is_stopped_between_blocks_of_pairs(tmp_path: Path) -> None:
    file, store = FileToWrite("tables", "planted", "planted", "x", Settings(kernel="rbf")), Store(tmp_path)

    def stop(done: int, total: int, message: str = "", *, reused: bool | None = False) -> None:
        if message.startswith("intervals of pairs"):
            raise Cancelled

    with pytest.raises(Cancelled):
        run(stop, store, **asdict(file))
    assert written_by(file.job().key, store) is None


def test_more_pairs_and_more_subsets_take_longer() -> None:
    tables, report = (FileToWrite(kind, "x", "x", "x", AUTO) for kind in ("tables", "report"))
    assert tables.seconds(200, 2000) > tables.seconds(200, 1000) > tables.seconds(20, 1000)
    assert report.seconds(20, 4000) > report.seconds(20, 400)
