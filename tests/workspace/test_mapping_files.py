"""A mapping file holds what was chosen, and says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernelsm.runtime.errors import InputError
from kernelsm.tasks.mapping import SampleMapping, TaskRule
from kernelsm.workspace.mapping_files import mapping_file, read_mapping_file
from kernelsm.workspace.requests import NetworkRequest

MAPPING = SampleMapping(
    label="class", inputs=("a", "b"), kind="tabular", tasks=TaskRule("column", columns=("task",)), target="class"
)


def test_what_was_chosen_reads_back(tmp_path: Path) -> None:
    network = NetworkRequest("train", architecture="mlp", hidden=32, training={"epochs": 5}, ridge=0.3)
    path = tmp_path / "mapping.json"
    path.write_text(mapping_file("my.csv", MAPPING, network), encoding="utf-8")
    assert read_mapping_file(path) == (MAPPING, network)


def test_a_mapping_alone_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps(MAPPING.to_dict()))
    assert read_mapping_file(path) == (MAPPING, NetworkRequest())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"), ("[1]", "a JSON object"), ('{"mapping": {}, "more": 1}', "'more'"),
        ('{"mapping": {"label": "x"}}', "inputs"), ('{"label": 3, "inputs": [], "kind": "x", "tasks": {}}', "kind"),
        ('{"mapping": {"label": "x"}, "network": {"path": "/etc"}}', "network"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_mapping_file(path)
