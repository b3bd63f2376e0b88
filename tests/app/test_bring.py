"""Bring your own data and model: every format, every network, what columns mean, and what is wrong said in words."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_files
from app_harness import bring, charts, compute, go_on, open_app, prepare, press, project, run, texts, turn
from streamlit.testing.v1 import AppTest

from kernelsm.app.data import bring as bring_page
from kernelsm.app.shell.job_panel import registry
from kernelsm.app.shell.open_runs import open_run
from kernelsm.examples.templates import templates
from kernelsm.runtime.jobs import JobSpec
from kernelsm.workspace.projects import load_project
from kernelsm.workspace.requests import Preparation

pytestmark = pytest.mark.usefixtures("warm_server")
WIDGETS = {
    "label": "selectbox", "kind": "segmented_control", "inputs": "multiselect", "rule": "segmented_control",
    "tasks": "multiselect", "count": "number_input", "split": "selectbox", "fraction": "slider",
    "target": "selectbox",
}  # fmt: skip
BY_TASK = {"rule": "column", "tasks": ["task"], "split": "", "fraction": 0.25, "target": "(task)"}
NUMBERS = {"label": "label", "kind": "tabular", "inputs": ["a", "b"]}
GUESSES: dict[str, dict[str, Any]] = {
    "numbers.csv": {**NUMBERS, **BY_TASK},
    "plants.tsv": {
        **NUMBERS, "label": "species", "rule": "clusters", "count": 3, "split": "", "fraction": 0.25, "target": "",
    },
    "labels.parquet": {**NUMBERS, "rule": "label", "split": "split", "target": ""},
    "reviews.jsonl": {"label": "label", "kind": "text", "inputs": ["text"], **BY_TASK, "tasks": ["source"]},
    "images.npz": {"label": "label", "kind": "image", "inputs": ["images"], **BY_TASK},
    "tokens.npz": {
        "label": "label", "kind": "tokens", "inputs": ["tokens"], "rule": "slices", "count": 3, "split": "",
        "fraction": 0.25, "target": "",
    },
    "dataset.zip": {**NUMBERS, "rule": "column", "tasks": ["task"], "split": "split", "target": "(task)"},
}  # fmt: skip
SIZES = {  # tasks and targets
    "numbers.csv": (4, 4), "plants.tsv": (3, 1), "labels.parquet": (5, 1), "reviews.jsonl": (3, 3),
    "images.npz": (4, 4), "tokens.npz": (3, 1), "dataset.zip": (4, 4),
}  # fmt: skip


def key_of(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def meaning(app: AppTest, data: bytes) -> dict[str, Any]:
    """What the controls say that the columns of a file mean; those that are not drawn are left out."""
    found = {}
    for field, kind in WIDGETS.items():
        try:
            found[field] = getattr(app, kind)(key=f"bring_{field}_{key_of(data)}").value
        except KeyError:
            continue
    return found


def csv_of(**columns: Any) -> bytes:
    return small_files.csv(pd.DataFrame(columns))


def change(app: AppTest, data: bytes, field: str, value: Any) -> AppTest:
    getattr(app, WIDGETS[field])(key=f"bring_{field}_{key_of(data)}").set_value(value).run()
    assert not app.exception
    return app


def heatmap(app: AppTest) -> tuple[list[str], list[str]]:
    """Names beside and below the heatmap of interactions."""
    (found,) = (figure["layout"] for figure in charts(app) if figure["data"][0]["type"] == "heatmap")
    return found["xaxis"]["ticktext"], found["yaxis"]["ticktext"]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Preparation]:
    """What the button of the page would prepare, as it was drawn last."""
    wanted: list[Preparation] = []
    draw = bring_page.job_panel

    def noted(spec: JobSpec, *rest: Any, **named: Any) -> None:
        wanted[:] = [Preparation.from_json(spec.arguments["what"])]
        draw(spec, *rest, **named)

    monkeypatch.setattr(bring_page, "job_panel", noted)
    return wanted


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
    size = load_project(project(app)).recipe.size
    assert (size.tasks, size.targets) == (tasks, targets)
    assert (size.samples, size.test_samples) == pytest.approx((48, 16), abs=1)
    assert f"{stem} · {tasks} tasks · {targets} target{'s' if targets > 1 else ''} · no outcomes yet" in texts(app)
    assert f"{size.samples} training and {size.test_samples} test samples" in texts(app)

    compute(app)
    assert [spec.work.rpartition(".")[2] for spec in jobs] == ["prepare:run", "compute:run"]
    outcomes = open_run(run(app)).outcomes
    assert (outcomes.m, outcomes.K, outcomes.q) == (8, tasks, targets)
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
        assert expected[name].items() <= meaning(app, data).items()
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
    ("inputs", ["label"], {"inputs": ["label"]}),
    ("kind", "text", {"kind": "text"}),
]


def test_what_is_changed_reaches_the_job(drawn: list[Preparation]) -> None:
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
    suite = load_project(project(prepare(app))).recipe.suite()
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


# --- networks -------------------------------------------------------------------------------------------------------


def test_what_is_chosen_for_training_reaches_the_job(drawn: list[Preparation]) -> None:
    app = bring("numbers.csv", small_files.csv())
    asked = drawn[0].model
    assert (asked.way, asked.architecture, asked.hidden, asked.training, asked.ridge) == (
        "train", "logistic", None, {}, None,
    )  # fmt: skip
    app.selectbox(key="bring_architecture_tabular").set_value("mlp").run()
    app.select_slider(key="bring_hidden").set_value(16).run()
    app.select_slider(key="bring_pull").set_value(0.3).run()
    app.number_input(key="bring_epochs").set_value(7).run()
    app.select_slider(key="bring_rate").set_value(0.003).run()
    app.select_slider(key="bring_decay").set_value(0.0).run()
    assert not app.exception
    asked = drawn[0].model
    assert (asked.architecture, asked.hidden, asked.ridge) == ("mlp", 16, 0.3)
    assert asked.training == {"epochs": 7, "learning_rate": 0.003, "weight_decay": 0.0}


def test_only_networks_that_can_read_the_inputs_are_offered() -> None:
    app = open_app("data")
    for name, offered in (
        ("reviews.jsonl", ["Logistic regression", "Small neural network"]),
        ("tokens.npz", ["Small transformer"]),
        ("images.npz", ["Logistic regression", "Small neural network", "ResNet-9"]),
    ):
        data = small_files.FORMATS[name]()
        app.file_uploader(key="bring_samples").upload(name, data).run()
        assert not app.exception
        assert app.selectbox(key=f"bring_architecture_{meaning(app, data)['kind']}").options == offered


def test_weights_with_their_description_are_taken_as_they_are(jobs: list[JobSpec]) -> None:
    app = bring("numbers.csv", small_files.csv())
    app.segmented_control(key="bring_way").set_value("weights").run()
    assert not any(button.key == "prepare_start" for button in app.button)
    app.file_uploader(key="bring_weights").upload("mine.safetensors", small_files.weights()).run()
    assert not any(button.key == "prepare_start" for button in app.button)
    app.file_uploader(key="bring_config").upload("mine.json", small_files.description()).run()
    assert not app.exception
    prepare(app)
    recipe = load_project(project(app)).recipe
    assert (recipe.architecture, recipe.training, recipe.parameters) == ("logistic", None, 6)
    assert recipe.weights.read_bytes() == small_files.weights()
    compute(app)
    turn(app, "explore")
    assert heatmap(app)[0] == sorted(small_files.TASKS)


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_files.save_hugging_face(tmp_path_factory.mktemp("model"))


def test_a_hugging_face_folder_reads_text_with_its_own_tokenizer(
    hugging_face: Path, jobs: list[JobSpec], own_cache: Path
) -> None:
    app = bring("reviews.jsonl", small_files.lines())
    app.segmented_control(key="bring_way").set_value("folder").run()
    app.file_uploader(key="bring_folder").upload("model.zip", small_files.zipped(hugging_face)).run()
    assert not app.exception
    prepare(app)
    found = load_project(project(app)).recipe
    assert (found.architecture, found.training) == ("hugging_face", None)
    assert Path(found.config["folder"]).parent == own_cache / "projects" / project(app)
    assert found.suite().inputs.dtype == np.int64
    compute(app)
    turn(app, "explore")
    assert heatmap(app)[0] == ["x", "y", "z"]


def test_a_path_is_asked_for_only_where_the_server_allows_it(
    hugging_face: Path, jobs: list[JobSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = bring("reviews.jsonl", small_files.lines())
    ways = app.segmented_control(key="bring_way").options
    assert ways == ["Train one for me", "My weights (safetensors)", "Hugging Face folder (zip)"]
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    app.run()
    assert app.segmented_control(key="bring_way").options == [*ways, "Path or hub name"]
    app.segmented_control(key="bring_way").set_value("path").run()
    app.text_input(key="bring_path").set_value(str(hugging_face)).run()
    app.toggle(key="bring_further").set_value(True).run()
    prepare(app)
    assert load_project(project(app)).recipe.training["epochs"] == 3
    # a job that asks for a path is refused by a server that does not allow any, whoever wrote it
    monkeypatch.delenv("KERNELSM_ALLOW_PATHS")
    registry().start(jobs[-1])
    assert "KERNELSM_ALLOW_PATHS=1" in registry().status(jobs[-1].key).error


def test_gradient_features_are_computed_without_a_network(jobs: list[JobSpec]) -> None:
    app = bring("mine.npz", small_files.features(), way="Gradient features", key="bring_features")
    prepare(app)
    assert "only the convex problems are left to solve" in texts(app)
    keys = [widget.key for widget in (*app.selectbox, *app.segmented_control, *app.select_slider)]
    assert "view_pull" in keys
    assert not {"view_estimator", "view_projection", "view_dim"} & set(keys)
    assert "mine · 4 tasks · 2 targets · no outcomes yet" in texts(app)
    compute(app)
    turn(app, "explore")
    assert heatmap(app)[0] == list(small_files.TASKS)
    assert open_run(run(app)).outcomes.target_names == ("old", "new")


# --- outcomes -------------------------------------------------------------------------------------------------------

TABLES = {
    "mine.csv": small_files.outcomes_csv, "mine.parquet": small_files.outcomes_parquet,
    "mine.npz": small_files.outcomes_npz, "mine.json": small_files.outcomes_json,
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


# --- what is wrong --------------------------------------------------------------------------------------------------


def broken_zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("photos/one.jpg", b"\xff\xd8")
    return sink.getvalue()


WRONG = [  # file name, content, and of the four parts: where, what was found, what was expected, what to do
    ("empty.csv", b"", ("an empty file (0 bytes)", "a file with samples", "Save it again")),
    ("a.pkl", b"\x80\x04.", ("a pickle", "because pickles can run code", "Save the table by")),
    ("a.xlsx", b"PK", ("the ending '.xlsx'", "one of .csv", "In the spreadsheet")),
    ("broken.parquet", b"PAR1" + b"\0" * 50 + b"PAR1", ("Found", "expected", "it again")),
    ("table.npz", small_files.csv(), ("no sign of", "as its name says", "Name it for what it is")),
    ("objects.npz", small_files.arrays(x=np.array([{}, 1], dtype=object)), ("pickle", "expected", "")),
    ("ragged.csv", b"a,b\n1,2\n1,2,3\n", ("row 2", "3 cells", "2 as in the header", "Check the delimiters")),
    ("a.jsonl", b'{"a": 1}\n{"a": \n', ("line 2", "no JSON", "one JSON object", "Write each sample on one line")),
    ("photos.zip", broken_zip(), ("no table of samples", "save_to_disk", "Save pictures as arrays")),
]


def test_wrong_files_of_samples_are_refused_in_four_parts_and_the_next_is_read() -> None:
    app = open_app("data", run="planted")
    for name, data, said in WRONG:
        app.file_uploader(key="bring_samples").upload(name, data).run()
        assert not app.exception
        (error,) = app.error
        message = error.value.replace("\\", "")
        assert message.startswith(f"**{name}")
        assert all(part in message for part in said), message
        assert len([part for part in message.split("\n\n") if part]) == 3  # place; found and expected; what to do
        assert "Nothing else changed: the run shown before is still there." in texts(app)
        assert any(caption.value.startswith("Planted game") for caption in app.caption)
    app.file_uploader(key="bring_samples").upload("numbers.csv", small_files.csv()).run()
    assert not app.exception
    assert not app.error
    assert meaning(app, small_files.csv()) == GUESSES["numbers.csv"]


def failed(app: AppTest) -> str:
    """What the page says of a preparation that ended in an error."""
    app.button(key="prepare_start").click().run()
    assert not app.exception
    (error,) = app.error
    assert error.value.startswith("The job failed: ")
    assert any(button.key == "prepare_start" and not button.disabled for button in app.button)
    assert any(caption.value.startswith("Planted game") for caption in app.caption)
    return error.value.replace("\\", "")


def test_columns_that_prove_wrong_are_named_by_the_job_and_can_be_changed(jobs: list[JobSpec]) -> None:
    data = small_files.csv()
    app = bring("numbers.csv", data)
    for field, wrong, right, said in (
        ("label", "a", "label", ("column 'a'", "a class: text or a whole number", "put the numbers into classes")),
        ("kind", "image", "tabular", ("found", "expected")),
        ("kind", "tokens", "tabular", ("found", "expected")),
        ("split", "task", "", ("column 'task'", "found", "train", "test")),
    ):
        change(app, data, field, wrong)
        message = failed(app)
        assert message.startswith("The job failed: numbers.csv, ")
        assert all(part in message for part in said), message
        change(app, data, field, right)
        change(app, data, "inputs", ["a", "b"])
    prepare(app)
    assert load_project(project(app)).recipe.size.tasks == 4


def test_wrong_weights_are_refused_in_words(jobs: list[JobSpec]) -> None:
    app = bring("numbers.csv", small_files.csv())
    app.segmented_control(key="bring_way").set_value("weights").run()
    fine, told = ("w.safetensors", small_files.weights()), ("c.json", small_files.description())
    three = small_files.weights(3)
    for weights, config, said in (
        (("w.pt", b"\x80\x04."), told, ("w.pt", "pickle", "safetensors")),
        (("w.safetensors", b"\0" * 100), told, ("w.safetensors", "found", "expected")),
        (("w.safetensors", three), told, ("w.safetensors", "found", "expected")),
        (("w.safetensors", three), ("c.json", small_files.description(3)), ("found", "expected")),
        (fine, ("c.json", b"{"), ("c.json", "no JSON", '"architecture": "mlp"')),
        (fine, ("c.json", b'{"model_type": "bert"}'), ("c.json", "of a Hugging Face model", "as one zip file")),
    ):
        app.file_uploader(key="bring_weights").upload(*weights)
        app.file_uploader(key="bring_config").upload(*config).run()
        message = failed(app)
        assert all(part in message for part in said), message
    app.file_uploader(key="bring_weights").upload(*fine)
    app.file_uploader(key="bring_config").upload(*told).run()
    prepare(app)


def test_features_of_another_form_are_refused_in_words(jobs: list[JobSpec]) -> None:
    app = bring("empty.npz", b"", way="Gradient features", key="bring_features")
    assert "empty.npz" in failed(app)
    for data in (small_files.images(), small_files.outcomes_npz()):
        app.file_uploader(key="bring_features").upload("mine.npz", data).run()
        message = failed(app)
        assert all(part in message for part in ("mine.npz", "found", "expected", "train_logits")), message
    app.file_uploader(key="bring_features").upload("good.npz", small_files.features()).run()
    prepare(app)


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
