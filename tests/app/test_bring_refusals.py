"""What is wrong with brought data or networks is said in words, and can be put right."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import small_files
from app_harness import bring, open_app, prepare, project, texts
from bring_controls import GUESSES, change, key_of, meaning
from streamlit.testing.v1 import AppTest

from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.projects import PROJECTS

pytestmark = pytest.mark.usefixtures("warm_server")


def broken_zip() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("photos/one.jpg", b"\xff\xd8")
    return sink.getvalue()


WRONG = [  # file name, content, and of the four parts: where, what was found, what was expected, what to do
    ("empty.csv", b"", ("an empty file (0 bytes)", "a file with samples", "Save it again")),
    ("a.pkl", b"\x80\x04.", ("a pickle", "because pickles can run code", "Save the table by")),
    ("a.xls", b"PK", ("the ending '.xls'", "one of .csv", "In the spreadsheet")),
    ("broken.parquet", b"PAR1" + b"\0" * 50 + b"PAR1", ("Found", "expected", "it again")),
    ("table.npz", small_files.csv(), ("no sign of a NumPy archive", "as its name says", "Name it for what it is")),
    ("objects.npz", small_files.arrays(x=np.array([{}, 1], dtype=object)), ("pickle", "expected", "")),
    ("ragged.csv", b"a,b\n1,2\n1,2,3\n", ("row 2", "3 cells", "2 as in the header", "Check the delimiters")),
    ("a.jsonl", b'{"a": 1}\n{"a": \n', ("line 2", "no JSON", "one JSON object", "Write each row on one line")),
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
    # numbers with fractions are guessed to be a quantity: what a user makes of them is
    change(app, data, "label", "a")
    app.segmented_control(key=f"bring_objective_{key_of(data)}_a").set_value("classification").run()
    message = failed(app)
    wanted = ("column 'a'", "a class: text or a whole number", "Say that the label is a quantity")
    assert all(part in message for part in wanted), message
    change(app, data, "label", "label")
    change(app, data, "inputs", ["a", "b"])
    for field, wrong, right, said in (
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
    assert PROJECTS.load(project(app)).recipe.size.tasks == 4


def test_wrong_weights_are_refused_in_words(jobs: list[JobSpec]) -> None:
    app = bring("numbers.csv", small_files.csv())
    app.segmented_control(key="bring_way").set_value("weights").run()
    fine, right_config = ("w.safetensors", small_files.weights()), ("c.json", small_files.description())
    three = small_files.weights(3)
    for weights, config, said in (
        (("w.pt", b"\x80\x04."), right_config, ("w.pt", "pickle", "safetensors")),
        (("w.safetensors", b"\0" * 100), right_config, ("w.safetensors", "found", "expected")),
        (("w.safetensors", three), right_config, ("w.safetensors", "found", "expected")),
        (("w.safetensors", three), ("c.json", small_files.description(3)), ("found", "expected")),
        (fine, ("c.json", b"{"), ("c.json", "no JSON", "at line 1", '"architecture": "mlp"')),
        (fine, ("c.json", b'{"model_type": "bert"}'), ("c.json", "of a Hugging Face model", "as one zip file")),
    ):
        app.file_uploader(key="bring_weights").upload(*weights)
        app.file_uploader(key="bring_config").upload(*config).run()
        message = failed(app)
        assert all(part in message for part in said), message
    app.file_uploader(key="bring_weights").upload(*fine)
    app.file_uploader(key="bring_config").upload(*right_config).run()
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
