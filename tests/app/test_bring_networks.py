"""Bring a network: trained here, weights, a Hugging Face folder, a path, or gradient features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_files
import text_models
from app_harness import bring, compute, go_on, open_app, prepare, project, run, texts, turn
from bring_controls import heatmap, meaning
from streamlit.testing.v1 import AppTest

from kernelsm.app.shell.job_panel import registry
from kernelsm.app.shell.open_runs import open_run
from kernelsm.runtime.job import JobSpec
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.requests import ProjectRequest

pytestmark = pytest.mark.usefixtures("warm_server")


def test_what_is_chosen_for_training_reaches_the_job(drawn: list[ProjectRequest]) -> None:
    app = bring("numbers.csv", small_files.csv())
    asked = drawn[0].model
    assert (asked.origin, asked.architecture, asked.hidden, asked.training, asked.ridge) == (
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
    recipe = PROJECTS.load(project(app)).recipe
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
    # its classes are LABEL_0 and LABEL_1, and neither is called good or bad
    assert "Which label is which class of the model?" in texts(app)
    assert not any(button.key == "prepare_start" for button in app.button)
    choice = next(control for control in app.segmented_control if str(control.key).startswith("bring_classes_"))
    assert [option.replace("\\", "") for option in choice.options] == [
        "bad is LABEL_0, good is LABEL_1", "bad is LABEL_1, good is LABEL_0",
    ]  # fmt: skip
    # how it will be run is said before it is loaded
    assert "padding is left out by a mask that is made once, and gradients are computed for many samples" in texts(
        app
    )
    choice.set_value(choice.options[1]).run()
    app.button(key="prepare_start").click().run()
    assert "Gradients are computed for many samples at once, by hooks" in texts(app)
    assert "matched as you chose: bad is LABEL_1, good is LABEL_0" in texts(app).replace("\\", "")
    assert "its logits are those of its own forward call" in texts(app)
    go_on(app)
    assert "Gradients are computed for many samples at once, by hooks" in texts(app)
    found = PROJECTS.load(project(app)).recipe
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
    for path in ("~nobody-of-that-name/bert", "/" + "x" * 300):
        app.text_input(key="bring_path").set_value(path).run()
        assert not app.exception
    app.text_input(key="bring_path").set_value(str(hugging_face)).run()
    app.toggle(key="bring_further").set_value(True).run()
    prepare(app)
    assert PROJECTS.load(project(app)).recipe.training["epochs"] == 3
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


def class_fields(app: AppTest) -> list[Any]:
    """The fields that ask for the class of each label."""
    return [field for field in app.selectbox if str(field.key).startswith("bring_class_")]


def test_each_of_several_classes_is_asked_for_where_none_is_known(
    tmp_path: Path, drawn: list[ProjectRequest]
) -> None:
    app = bring("reviews.csv", text_models.reviews(labels=[("bad", "good", "so so")[row % 3] for row in range(60)]))
    app.segmented_control(key="bring_way").set_value("folder").run()
    drawn.clear()
    app.file_uploader(key="bring_folder").upload("m.zip", text_models.zipped(text_models.saved(tmp_path))).run()
    assert not app.exception
    assert not drawn
    asked = class_fields(app)
    assert [field.label for field in asked] == ["bad", "good", "so so"]
    assert asked[0].options == ["LABEL_0", "LABEL_1", "LABEL_2"]
    for place, number in enumerate((2, 0, 0)):
        class_fields(app)[place].set_value(number).run()
    assert "Two labels cannot be the same class of the model." in texts(app)
    assert not drawn
    class_fields(app)[2].set_value(1).run()
    assert drawn[-1].model.classes == {"bad": 2, "good": 0, "so so": 1}
    assert drawn[-1].model.tokens == 0
    # another model is asked about anew, whatever was said of the first
    drawn.clear()
    other = text_models.saved(tmp_path, id2label={0: "C", 1: "A", 2: "B"})
    app.file_uploader(key="bring_folder").upload("other.zip", text_models.zipped(other)).run()
    assert not app.exception
    assert [field.value for field in class_fields(app)] == [None, None, None]
    assert not drawn
    # and so is another file of samples
    for place, number in enumerate((2, 0, 1)):
        class_fields(app)[place].set_value(number).run()
    assert drawn[-1].model.classes == {"bad": 2, "good": 0, "so so": 1}
    drawn.clear()
    data = text_models.reviews(labels=[("bad", "good", "so so")[row % 5 % 3] for row in range(60)])
    app.file_uploader(key="bring_samples").upload("others.csv", data).run()
    assert not app.exception
    assert [field.value for field in class_fields(app)] == [None, None, None]
    assert not drawn


def test_another_encoder_is_chosen_by_its_zip(tmp_path: Path, drawn: list[ProjectRequest]) -> None:
    app = bring("reviews.jsonl", small_files.lines())
    assert drawn[-1].model.encoder is None
    app.segmented_control(key="bring_encoder").set_value("folder").run()
    drawn.clear()
    app.run()
    assert not drawn
    app.file_uploader(key="bring_encoder_file").upload("mine.zip", b"PK").run()
    assert not app.exception
    encoder = drawn[-1].model.encoder
    assert encoder is not None
    assert encoder.name == "mine.zip"
