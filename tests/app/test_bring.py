"""Bring your own data: every format, what columns mean, tables of outcomes, and names."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_files
from app_harness import bring, compute, go_on, open_app, prepare, press, project, run, texts, turn
from bring_controls import GUESSES, change, csv_of, heatmap, key_of, meaning

from kernelsm.app.shell.job_panel import registry
from kernelsm.app.shell.open_runs import open_run
from kernelsm.examples.templates import templates
from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.requests import ProjectRequest

pytestmark = pytest.mark.usefixtures("warm_server")


SIZES = {  # tasks and targets
    "numbers.csv": (4, 4), "plants.tsv": (3, 1), "labels.parquet": (5, 1), "reviews.jsonl": (3, 3),
    "images.npz": (4, 4), "tokens.npz": (3, 1), "dataset.zip": (4, 4), "numbers.xlsx": (4, 4),
}  # fmt: skip


# --- formats --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", small_files.FORMATS)
def test_each_format_is_guessed_prepared_computed_and_explored(name: str, jobs: list[JobSpec]) -> None:
    data = small_files.FORMATS[name]()
    app = bring(name, data)
    assert not app.error
    stem, ending = name.split(".")
    assert any(caption.value.startswith(rf"{stem}\.{ending}: 64 rows, ") for caption in app.caption)
    assert meaning(app, data) == GUESSES[name]

    app = prepare(app)
    tasks, targets = SIZES[name]
    size = PROJECTS.load(project(app)).recipe.size
    assert (size.tasks, size.targets) == (tasks, targets)
    assert (size.samples, size.test_samples) == pytest.approx((48, 16), abs=1)
    assert f"{stem} · {tasks} tasks · {targets} target{'s' if targets > 1 else ''} · no outcomes yet" in texts(app)
    assert f"{size.samples} training and {size.test_samples} test samples" in texts(app)

    compute(app)
    assert [spec.work.rpartition(".")[2] for spec in jobs] == ["prepare:run", "compute:run"]
    outcomes = open_run(run(app)).outcomes
    assert (outcomes.m, outcomes.K, outcomes.q) == (2**tasks, tasks, targets)  # few tasks: all their subsets
    turn(app, "explore")
    names = list(outcomes.task_names)
    assert heatmap(app) == (names, names)
    turn(app, "gradients")
    assert not app.error


def test_a_file_is_prepared_and_computed_by_jobs_in_processes_of_their_own(own_cache: Path) -> None:
    app = bring("numbers.csv", small_files.csv())
    app.number_input(key="bring_epochs").set_value(2).run()
    app.button(key="prepare_start").click().run()
    (folder,) = own_cache.glob("jobs/*")
    assert registry().wait(folder.name, 120).state == "done"
    app.run()
    assert "4 tasks and 4 targets: 48 training and 16 test samples of 2 classes." in texts(app)
    go_on(app)
    app.button(key="job_start").click().run()
    (second,) = (path for path in own_cache.glob("jobs/*") if path != folder)
    assert registry().wait(second.name, 120).state == "done"
    app.run()
    press(app, "Show this result on all pages")
    turn(app, "explore")
    assert heatmap(app)[0] == sorted(small_files.TASKS)


# --- what the columns mean ------------------------------------------------------------------------------------------


def test_every_template_is_guessed_as_it_is_meant_and_a_new_file_starts_with_a_new_guess() -> None:
    sentences = {
        "label": "sentiment", "kind": "text", "inputs": ["text"], "rule": "column", "tasks": ["task"],
        "split": "split", "target": "source",
    }  # fmt: skip
    digits = {"label": "label", "rule": "column", "tasks": ["task"], "split": "split", "target": "(task)"}
    wines = {"label": "cultivar", "kind": "tabular", "rule": "clusters", "count": 8, "split": "", "target": ""}
    expected = {
        **{f"sentiment.{ending}": sentences for ending in ("csv", "parquet", "jsonl")},
        "sentiment.zip": {**sentences, "label": "label"},
        "digits.csv": {**digits, "kind": "tabular", "inputs": [f"p{i}" for i in range(64)]},
        "digits.npz": {**digits, "kind": "image", "inputs": ["images"]},
        "wine.csv": wines,
        "diabetes.csv": {
            "label": "target", "kind": "tabular", "rule": "column", "tasks": ["group"], "split": "",
            "target": "(task)",
        },
        "sentiment_labels.csv": {
            "label": "label_positive", "kind": "text", "inputs": ["text"], "rule": "column", "tasks": ["source"],
            "split": "split", "target": "(task)",
        },
        "instructions.jsonl": {
            "label": "completion", "rule": "column", "tasks": ["source"], "kind": None,  # always text
        },
    }  # fmt: skip
    assert set(expected) == set(templates())
    app = open_app("data")
    for name, make in templates().items():
        app.selectbox(key="bring_template").set_value(name).run()
        assert f"Download {name}" in [button.label for button in app.get("download_button")]
        data = make().data
        app.file_uploader(key="bring_samples").upload(name, data).run()
        assert not app.exception
        assert not app.error
        assert {what: meaning(app, data).get(what) for what in expected[name]} == expected[name]
        assert app.text_input(key=f"bring_title_{key_of(data)}").value == name.split(".")[0]
        # what is changed for this file is not kept for the next
        change(app, data, "rule", "slices")


CHANGES: list[tuple[str, Any, dict[str, Any]]] = [  # widget, its new value, what it changes for the job; one by one
    ("fraction", 0.4, {"test_fraction": 0.4}),
    ("inputs", ["b"], {"inputs": ["b"]}),
    ("target", "task", {"target": "task"}),
    ("target", "(label)", {"target": "(label)"}),
    ("tasks", ["task", "label"], {"tasks": {"kind": "column", "columns": ["task", "label"], "count": 10, "seed": 0}}),
    ("rule", "label", {"tasks": {"kind": "label", "columns": [], "count": 10, "seed": 0}}),
    ("rule", "slices", {"tasks": {"kind": "slices", "columns": [], "count": 10, "seed": 0}}),
    ("count", 7, {"tasks": {"kind": "slices", "columns": [], "count": 7, "seed": 0}}),
    ("rule", "clusters", {"tasks": {"kind": "clusters", "columns": [], "count": 7, "seed": 0}}),
    ("split", "task", {"split": "task", "test_fraction": 0.25}),
    ("label", "task", {"label": "task"}),
    ("label", "b", {"label": "b", "inputs": None}),
    # numbers with fractions are a quantity, by which nothing is grouped
    ("inputs", ["label"], {"inputs": ["label"], "objective": "regression", "more_labels": [], "target": "(task)"}),
    ("kind", "text", {"kind": "text"}),
]


def test_what_is_changed_reaches_the_job(drawn: list[ProjectRequest]) -> None:
    data = small_files.csv()
    app = bring("numbers.csv", data)
    wanted = drawn[0].mapping
    for field, value, changed in CHANGES:
        change(app, data, field, value)
        wanted = {**wanted, **changed}
        if wanted["inputs"] is None:  # the label cannot be an input: the only one went
            assert "Choose the input columns." in [info.value for info in app.info]
        else:
            assert drawn[0].mapping == wanted, (field, value)


def test_clusters_measured_by_label_on_half_of_the_samples(jobs: list[JobSpec]) -> None:
    data = small_files.csv()
    app = bring("numbers.csv", data)
    for field, value in {"rule": "clusters", "count": 3, "fraction": 0.5, "target": "(label)"}.items():
        change(app, data, field, value)
    suite = PROJECTS.load(project(prepare(app))).recipe.suite()
    assert suite.K == 3
    assert suite.target_names == ("no", "yes")
    assert len(suite.inputs) == pytest.approx(len(suite.test_inputs), abs=4)


def test_what_is_missing_is_asked_for_and_there_is_no_button_yet() -> None:
    data = small_files.csv()
    app = bring("numbers.csv", data)

    def button() -> bool:
        return any(button.key == "prepare_start" for button in app.button)

    change(app, data, "inputs", [])
    assert "Choose the input columns." in [info.value for info in app.info]
    assert not button()
    change(app, data, "inputs", ["a", "b"])
    assert button()
    for field, wrong, right, said in (
        ("tasks", [], ["task"], ("tasks, columns", "no column", "one or more", "Choose the columns that name")),
        ("split", "a", "", ("inputs", "the split column 'a'", "other columns only", "Take it out of the inputs")),
    ):
        change(app, data, field, wrong)
        (error,) = app.error
        assert all(part in error.value.replace("\\", "") for part in said)
        assert not button()
        change(app, data, field, right)
        assert not app.error
        assert button()
    nameless = csv_of(p=np.arange(20) / 7, q=np.arange(20) / 3)
    app.file_uploader(key="bring_samples").upload("nameless.csv", nameless).run()
    assert meaning(app, nameless)["label"] is None
    assert "Choose the label." in [info.value for info in app.info]
    assert not button()


def test_one_content_under_two_endings_is_guessed_from_what_each_ending_reads() -> None:
    data = b"a,b\tlabel\n" + b"1,2\tyes\n2,1\tno\n" * 10
    app = open_app("data")
    for name, columns in (("one.csv", ["a", "b\tlabel"]), ("one.tsv", ["a,b", "label"])):
        app.file_uploader(key="bring_samples").upload(name, data).run()
        assert not app.exception
        assert app.selectbox(key=f"bring_label_{key_of(data)}").options == columns
        assert meaning(app, data)["label"] == columns[1]


# --- outcomes -------------------------------------------------------------------------------------------------------

TABLES = {
    "mine.csv": small_files.outcomes_csv, "mine.parquet": small_files.outcomes_parquet,
    "mine.npz": small_files.outcomes_npz, "mine.json": small_files.outcomes_json,
    "mine.xlsx": small_files.outcomes_xlsx, "rows.json": small_files.outcomes_rows,
    "mine.csv.gz": lambda: gzip.compress(small_files.outcomes_csv()),
}  # fmt: skip


def test_a_table_of_outcomes_is_the_same_in_every_format() -> None:
    app = open_app("data")
    app.segmented_control(key="kernelsm_bring").set_value("A table of outcomes").run()
    for name, make in TABLES.items():
        app.file_uploader(key="kernelsm_upload").set_value([(name, make(), "")]).run()
        assert not app.exception
        assert not app.error
        (said,) = [success.value for success in app.success]
        assert "12 subsets of 4 tasks, 1 target, losses (lower is better)." in said
    tables = [open_run(key).outcomes for key in app.session_state["kernelsm_tables"]]
    masks, values = small_files.outcomes()
    for outcomes in tables:
        assert outcomes.task_names == small_files.TASKS
        assert outcomes.target_names == ("loss",)
        np.testing.assert_array_equal(outcomes.masks, masks)
        np.testing.assert_allclose(outcomes.values[:, 0], values)
    press(app, "Explore it")
    turn(app, "explore")
    assert heatmap(app)[0] == list(small_files.TASKS)


def test_the_two_lists_of_the_authors_are_read_together_in_any_order() -> None:
    app = open_app("data")
    app.segmented_control(key="kernelsm_bring").set_value("A table of outcomes").run()
    first, second = small_files.lists()
    for order in ([first, second], [second, first]):
        app.file_uploader(key="kernelsm_upload").set_value([(*file, "") for file in order]).run()
        assert not app.exception
        assert not app.error
        assert "12 subsets of 4 tasks, 2 targets" in texts(app)
    (key,) = app.session_state["kernelsm_tables"]
    np.testing.assert_array_equal(open_run(key).outcomes.masks, small_files.outcomes()[0])
    app.file_uploader(key="kernelsm_upload").set_value([(*first, "")]).run()
    (error,) = app.error
    assert "a list alone" in error.value.replace("\\", "")
    assert "Upload the file of outcomes and the file of subsets together" in error.value.replace("\\", "")


# --- names ----------------------------------------------------------------------------------------------------------

NAMES = ("<b>bold</b>", "*star* $x$ :red[r]", "[link](http://example.org)", "😀 ضد ~~no~~")


def test_names_that_look_like_markup_are_shown_as_they_are(jobs: list[JobSpec]) -> None:
    frame = small_files.samples()
    frame["task"] = frame["task"].map(dict(zip(small_files.TASKS, NAMES, strict=True)))
    frame["label"] = frame["label"].map({"yes": "<i>yes</i>", "no": "# لا"})
    frame["<u>same</u>"] = 1.0
    name = "<h1>*mine* [x](y) ضد 😀.csv"
    data = frame.to_csv(index=False).encode()
    app = bring(name, data)
    assert meaning(app, data)["label"] == "label"
    (caption,) = (caption.value for caption in app.caption if ": 64 rows" in caption.value)
    assert caption.startswith(r"\<h1\>\*mine\* \[x\]\(y\) ضد 😀\.csv")
    change(app, data, "inputs", ["a", "b", "<u>same</u>"])
    change(app, data, "target", "(label)")
    app.number_input(key="bring_epochs").set_value(2).run()
    app.button(key="prepare_start").click().run()
    assert r"Columns that never change were left out: \<u\>same\</u\>." in texts(app)
    prepare(app)
    for page in ("subsets", "fit", "explore", "data", "gradients"):
        turn(app, page)
        assert "<h1>" not in texts(app)
    compute(app)
    for page in ("start", "subsets", "fit", "explore", "gradients", "data"):
        turn(app, page)
        words = texts(app)
        for markup in ("<h1>", "<b>", "<i>", "*star* $x$", "[link](http", "[x](y)", ":red[r]", "~~no~~"):
            assert markup not in words, (page, markup)
    outcomes = open_run(run(app)).outcomes
    assert set(outcomes.task_names) == set(NAMES)
    assert set(outcomes.target_names) == {"<i>yes</i>", "# لا"}
