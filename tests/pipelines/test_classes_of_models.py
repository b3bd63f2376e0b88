"""A trained classifier with classes of its own: its numbers are its own, and what looks swapped is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import family_network
from text_models import MAPPING, brought, reviews, save_words, zipped

from kernelsm import InputError
from kernelsm.app.data.network_facts import doubts, network_sentences
from kernelsm.estimators.recipe import Rates
from kernelsm.files.limits import limits
from kernelsm.gradients.choices import PROJECTIONS
from kernelsm.models.model_folders import archived_config
from kernelsm.pipelines.classifier_check import better_matching
from kernelsm.pipelines.prepare import _seen_at_w0
from kernelsm.tasks.suite import TaskSuite

RATES = Rates(
    base=0.0, gradients=dict.fromkeys(PROJECTIONS, 0.1), gradex={"exact": 1.0, "projected": 1.0}, retraining=1.0
)
GOOD, BAD = 5, 6  # tokens


@pytest.fixture(autouse=True)
def _untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernelsm.pipelines.prepare.measure_rates", lambda *_, **named: RATES)


def sentiment(folder: Path, names: list[str]) -> Path:
    """A classifier whose class 0 is for texts that end in "good", and class 1 for those that end in "bad"."""
    network = family_network("Llama")
    network.model.layers = torch.nn.ModuleList()
    network.config.num_hidden_layers = 0
    network.config.id2label = dict(enumerate(names))
    with torch.no_grad():
        weight = network.model.embed_tokens.weight
        weight.zero_()
        weight[GOOD, 0] = weight[BAD, 1] = 1.0
        network.score.weight = torch.nn.Parameter(torch.eye(len(names), weight.shape[1]))
    network.save_pretrained(folder)
    save_words(folder, marked=False)
    return folder


def opinions(good: Any = "good", bad: Any = "bad", one_in: int = 2) -> bytes:
    """Texts that end in good or bad, which one in so many is, and their labels."""
    rows = range(60)
    texts = ["film good" if row % one_in else "a film bad" for row in rows]
    return reviews(text=texts, labels=[good if row % one_in else bad for row in rows])


@pytest.mark.parametrize(
    ("names", "good", "bad", "how"),
    [
        (["GOOD", "BAD"], "good", "bad", "by name"),
        (["LABEL_0", "LABEL_1"], 0, 1, "by number"),
        (["BEST", "WORST"], 0, 1, "by number"),
        (["Good", "Bad", "so so"], "good", "bad", "by name"),
    ],
)
def test_labels_get_the_numbers_that_the_model_gives_them(
    tmp_path: Path, names: list[str], good: Any, bad: Any, how: str
) -> None:
    project = brought(sentiment(tmp_path, names), opinions(good, bad))
    assert project.about["accuracy"] == {"train": 1.0, "test": 1.0}
    assert project.recipe.suite().meta["classes"] == [str(good), str(bad), *names[2:]]
    assert project.recipe.size.classes == len(names)
    assert doubts(project) == []
    said = network_sentences(project.about)[1].replace("\\", "")
    assert f"matched {how}: " in said
    assert f"{good} is {names[0]}" in said


def test_classes_that_cannot_be_matched_are_taken_as_the_user_chose(tmp_path: Path) -> None:
    folder = sentiment(tmp_path, ["LABEL_0", "LABEL_1"])
    project = brought(folder, opinions(), classes={"good": 0, "bad": 1})
    assert project.about["accuracy"]["test"] == 1.0
    assert "matched as you chose: bad is LABEL_1, good is LABEL_0" in network_sentences(project.about)[1].replace(
        "\\", ""
    )
    with pytest.raises(InputError) as caught:
        brought(folder, opinions(), classes={"good": 0})
    assert caught.value.place == "classes"


def test_a_network_that_is_wrong_as_good_as_always_is_said_to_have_its_classes_swapped(tmp_path: Path) -> None:
    project = brought(sentiment(tmp_path, ["LABEL_0", "LABEL_1"]), opinions())
    assert project.about["accuracy"]["test"] == 0.0
    swapped, guessing = doubts(project)
    assert "right on 0% of the test samples" in swapped
    assert "it would be on 100%: it says good for bad, bad for good" in swapped
    assert "no better than guessing" in guessing
    assert "in order, because neither names nor numbers fit" in network_sentences(project.about)[1]


def test_right_as_often_as_the_most_common_class_is_guessing(tmp_path: Path) -> None:
    # one class of three in four, and a network that always says it
    folder = sentiment(tmp_path, ["good", "bad"])
    content = opinions(one_in=4).replace(b"a film bad", b"film good")
    (doubt,) = doubts(brought(folder, content))
    assert "always saying good would be right on" in doubt
    assert "no better than guessing" in doubt


def test_chance_does_not_look_like_classes_numbered_otherwise() -> None:
    alarms = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        count, rows = rng.integers(2, 8), rng.integers(8, 200)
        outputs = rng.normal(size=(rows, count)).astype(np.float32)
        alarms += better_matching(outputs, rng.integers(0, count, rows)) is not None
    assert alarms <= 8


@pytest.mark.parametrize("alternating", [True, False])
def test_classes_numbered_otherwise_are_found_whatever_the_order_of_the_samples(alternating: bool) -> None:
    labels = np.arange(40) % 2 + 1 if alternating else np.sort(np.arange(60) % 3)
    of = np.array([1, 2, 0])
    outputs = np.eye(3, dtype=np.float32)[of[labels]]
    outputs[::7] = outputs[::7, ::-1]  # and it is wrong now and then
    found = better_matching(outputs, labels)
    assert found is not None
    assert [found[1][label] for label in np.unique(labels)] == of[np.unique(labels)].tolist()
    assert 0.7 < found[0] < 1.0


def test_accuracy_and_the_most_common_class_are_of_the_same_samples() -> None:
    labels = (np.arange(5003) % 5 > 2).astype(np.int64)
    inputs = np.zeros((len(labels), 2), dtype=np.float32)
    zeros = np.zeros(len(labels), dtype=np.int64)
    suite = TaskSuite(inputs, labels, zeros, inputs, labels, zeros, ("a",), ("t",), 2)
    always_first = torch.nn.Linear(2, 2)
    with torch.no_grad():
        always_first.bias.copy_(torch.tensor([9.0, 0.0]))
    seen = _seen_at_w0(always_first, suite, brought=True)
    assert seen["accuracy"]["test"] == pytest.approx(seen["majority"]["share"])


def test_a_network_that_was_trained_here_is_not_said_to_have_other_classes() -> None:
    labels = np.arange(60) % 2
    inputs = np.eye(2, dtype=np.float32)[1 - labels]
    zeros = np.zeros(len(labels), dtype=np.int64)
    suite = TaskSuite(inputs, labels, zeros, inputs, labels, zeros, ("a",), ("t",), 2)
    assert "renumbered" in _seen_at_w0(torch.nn.Identity(), suite, brought=True)
    assert "renumbered" not in _seen_at_w0(torch.nn.Identity(), suite, brought=False)


def test_the_request_of_before_is_the_same_work(tmp_path: Path) -> None:
    from kernelsm.workspace.requests import FileRef, NetworkRequest, ProjectRequest

    plain = ProjectRequest("x", FileRef("k", "a.csv"), MAPPING.to_dict(), NetworkRequest())
    assert "classes" not in plain.job().arguments["request"]
    chosen = ProjectRequest("x", FileRef("k", "a.csv"), {}, NetworkRequest(classes={"bad": 1, "good": 0}))
    assert ProjectRequest.from_json(chosen.job().arguments["request"]).model.classes == {"bad": 1, "good": 0}


def test_the_classes_of_a_zip_are_read_without_unpacking_it(tmp_path: Path) -> None:
    folder = sentiment(tmp_path / "model", ["GOOD", "BAD"])
    archive = tmp_path / "mine.zip"
    archive.write_bytes(zipped(folder))
    assert archived_config(archive, "mine.zip", limits())["id2label"] == {"0": "GOOD", "1": "BAD"}
    for faulty in ('{"num_labels": 10000000000}', '{"num_labels": 1e10}', '{"encoder": {"num_hidden_layers": 1e9}}'):
        (folder / "config.json").write_text(faulty)
        archive.write_bytes(zipped(folder))
        with pytest.raises(InputError, match=r"config\.json"):
            archived_config(archive, "mine.zip", limits())
    archive.write_bytes(b"PK")
    with pytest.raises(InputError):
        archived_config(archive, "mine.zip", limits())


def test_several_labels_take_the_order_of_the_models_classes(tmp_path: Path) -> None:
    ends_well = [row % 2 == 0 for row in range(60)]
    content = reviews(
        text=["film good" if well else "a film bad" for well in ends_well],
        labels=[int(not well) for well in ends_well], good=[int(well) for well in ends_well],
    ).replace(b"text,label,", b"text,bad,")  # fmt: skip
    mapping = replace(MAPPING, label="bad", more_labels=("good",), objective="several labels")
    project = brought(sentiment(tmp_path, ["GOOD", "BAD"]), content, mapping)
    suite = project.recipe.suite()
    assert suite.objective_settings["names"] == ["good", "bad"]
    says_good = (suite.inputs == GOOD).any(axis=1)
    assert (suite.labels[:, 0] == says_good).all()
    assert (suite.labels[:, 1] == ~says_good).all()
    assert "matched by name: bad is BAD, good is GOOD" in network_sentences(project.about)[1]
