"""Odd names of tasks, targets, labels, columns, files and projects arrive as they are."""

from __future__ import annotations

import csv
import io
import json
from pathlib import PurePath

import numpy as np
import pytest
from bad_files import BOTH, GOOD, HOSTILE, lines, made, npz, parquet, table, text_of
from bringing import prepared

from kernelsm import Outcomes
from kernelsm.outcomes.names import natural_key
from kernelsm.runtime.store import cache_root
from kernelsm.samples.reader import read_samples
from kernelsm.tasks.build import build_suite
from kernelsm.tasks.mapping import SampleMapping, TaskRule
from kernelsm.tasks.suite_files import load_suite
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.requests import FileRef
from kernelsm.workspace.session_file import read_session, write_session
from kernelsm.workspace.tables import TABLES, save_run
from kernelsm.workspace.uploads import keep_upload, upload_path

pytestmark = pytest.mark.usefixtures("work_before")


NAMES = sorted(HOSTILE, key=natural_key)


def named():
    """Good samples whose tasks, targets and labels have hostile names."""
    rows = 12 * len(NAMES)
    names = [NAMES[i % len(NAMES)] for i in range(rows)]
    return table(rows, task=names, label=[NAMES[i // 2 % 2] for i in range(rows)], group=names[::-1])


def as_csv():
    return made(**named())


def as_tsv():
    columns = named()
    file = io.StringIO()
    csv.writer(file, delimiter="\t").writerows([list(columns), *zip(*columns.values(), strict=True)])
    return file.getvalue().encode()


def as_parquet():
    return parquet(named())


def as_lines():
    columns = named()
    return lines(*(dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)))


def as_npz():
    return npz(**{name: np.array(column) for name, column in named().items()})


@pytest.mark.parametrize(
    ("name", "make"),
    [("a.csv", as_csv), ("a.tsv", as_tsv), ("a.parquet", as_parquet), ("a.jsonl", as_lines), ("a.npz", as_npz)],
)
def test_odd_names_of_tasks_targets_and_labels_arrive_unchanged(name, make):
    path = upload_path(keep_upload(make(), name), PurePath(name).suffix)
    mapping = SampleMapping("label", ("x1", "x2"), "tabular", TaskRule("column", ("task",)), target="group")
    suite = build_suite(read_samples(path, name), mapping)
    assert suite.task_names == suite.target_names == tuple(NAMES)
    assert suite.meta["classes"] == NAMES[:2]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("ending", [".csv", ".parquet", ".jsonl"])
def test_odd_names_of_columns_arrive_unchanged(name, ending):
    columns = {name: table()["x1"], **table(x1=None)}
    rows = list(zip(*columns.values(), strict=True))
    make = {
        ".csv": lambda: text_of([list(columns), *rows]).encode(),
        ".parquet": lambda: parquet(columns),
        ".jsonl": lambda: lines(*(dict(zip(columns, row, strict=True)) for row in rows)),
    }
    path = upload_path(keep_upload(make[ending](), f"a{ending}"), ending)
    read = read_samples(path, f"a{ending}")
    assert read.names == (name, "x2", "task", "label")
    suite = build_suite(read, SampleMapping("label", (name, "x2"), "tabular", TaskRule("column", ("task",))))
    assert suite.meta["feature_names"] == [name, "x2"]


@pytest.mark.parametrize("name", HOSTILE)
def test_odd_names_of_files_and_projects_are_kept_and_stay_out_of_paths(name, home):
    told = f"../../{name}.csv"
    before = {*home.parent.glob("*.csv")}
    key = keep_upload(GOOD, told)
    assert FileRef(key, told).path(cache_root()).parent == cache_root() / "uploads" / key
    assert read_samples(upload_path(key, ".csv"), told).name == told
    assert {*home.parent.glob("*.csv")} == before


def test_odd_names_go_the_whole_way_and_through_a_session_file(tmp_path, monkeypatch):
    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path / "here"))
    key = prepared("🧪 <b>.csv", as_csv(), {"tasks": TaskRule("column", ("task",)), "target": "group", **BOTH})
    suite = load_suite(cache_root() / "projects" / key / "suite.npz")
    assert suite.task_names == suite.target_names == tuple(NAMES)
    assert suite.meta["source"] == PROJECTS.load(key).about["file"] == "🧪 <b>.csv"
    titles = {save_run(Outcomes(np.eye(len(NAMES)), np.ones((len(NAMES), 1)), task_names=NAMES)): NAMES[3]}
    data = write_session({}, {"tables": titles, "projects": {key: ""}}, cache_root())
    session = read_session(data, "s.zip", tmp_path / "there")
    assert session.kept["tables"] == titles
    assert TABLES.load(*titles, tmp_path / "there").task_names == tuple(NAMES)
    assert load_suite(tmp_path / "there" / "projects" / key / "suite.npz").task_names == tuple(NAMES)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".npz", ".json"])
def test_odd_names_of_outcomes_arrive_unchanged(ending, tmp_path):
    masks, values = np.eye(len(NAMES), dtype=int), np.arange(2.0 * len(NAMES)).reshape(len(NAMES), 2)
    told = {"task_names": NAMES, "target_names": NAMES[-2:]}
    if ending == ".npz":
        data = npz(masks=masks, values=values, **{key: np.array(names) for key, names in told.items()})
    elif ending == ".json":
        data = json.dumps({"masks": masks.tolist(), "values": values.tolist(), **told}).encode()
    else:
        data = Outcomes(masks, values, **told).save(tmp_path / f"o{ending}").read_bytes()
    found = Outcomes.from_files([(data, f"o{ending}")])
    assert found.task_names == tuple(NAMES)
    assert found.target_names == tuple(NAMES[-2:])
