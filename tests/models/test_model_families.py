"""Families of transformers: none is silently wrong, none fails with an error of its own. Writes the docs' table."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from families import FAMILIES, family_network, family_texts, own_gradients, own_logits, saved_family

import kernelsm
from kernelsm import build_model, gradient_features
from kernelsm.models.hugging_face import hugging_face
from kernelsm.models.known_families import BUILT_IN, family_way

TABLE = Path(kernelsm.__file__).parents[1] / "docs" / "model_families.md"
START, STOP = "<!-- made by tests/models/test_model_families.py -->\n", "<!-- end -->\n"
HEADINGS = ("family", "logits equal", "equal when padded", "how padding is left out", "engine", "gradients equal")


@cache
def measured(family: str) -> tuple[float, float, str, str, float]:
    """Differences of logits alone and padded, the way of reading, the engine, and the difference of gradients."""
    with TemporaryDirectory() as folder:
        original = saved_family(family, Path(folder))
        model = hugging_face(folder)
    tokens, texts = family_texts()
    expected = own_logits(original)
    with torch.no_grad():
        alone, padded = torch.cat([model(text) for text in texts]), model(tokens)
    gradients = own_gradients(original)
    found = gradient_features(model, tokens.numpy(), np.arange(len(tokens)) % 3, "exact", outputs="logits")
    return (
        float((alone - expected).abs().max() / expected.abs().max()),
        float((padded - expected).abs().max() / expected.abs().max()),
        model.reading,
        found.meta["engine"],
        float(np.abs(found.features - gradients).max() / np.abs(gradients).max()),
    )


def test_there_are_twenty_five_families_that_answer_differently() -> None:
    assert len(FAMILIES) == 25
    for family in FAMILIES:
        assert own_logits(family_network(family)).std() > 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_gradients_are_those_of_the_familys_own_code(family: str) -> None:
    alone, padded, _, _, gradients = measured(family)
    assert max(alone, padded) < 1e-4
    assert gradients < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_said_before_a_network_is_loaded_is_what_is_measured(family: str) -> None:
    way = family_way(family_network(family).config.to_dict())
    assert way is not None
    assert (way.reading, way.engine) == measured(family)[2:4]


def test_built_in_networks_are_differentiated_as_is_said_before_they_are_made() -> None:
    numbers, tokens = np.ones((5, 3), dtype=np.float32), np.arange(20).reshape(5, 4) % 7
    pictures = np.random.default_rng(0).normal(size=(5, 1, 16, 16)).astype(np.float32)
    made = {
        "logistic": ({"inputs": 3, "classes": 2}, numbers), "mlp": ({"sizes": (3, 4, 2)}, numbers),
        "resnet9": ({"channels": 1, "classes": 2, "width": 8}, pictures),
        "transformer": ({"vocabulary": 7, "classes": 2, "length": 4}, tokens),
    }  # fmt: skip
    assert made.keys() == BUILT_IN.keys()
    for name, (config, inputs) in made.items():
        model = build_model(name, **config).eval()
        found = gradient_features(model, inputs, np.arange(5) % 2, "kronecker", 4)
        assert found.meta["engine"] == BUILT_IN[name].engine


def test_a_kind_that_is_not_known_is_tried_out() -> None:
    assert family_way({"model_type": "something"}) is None
    assert family_way({"model_type": ["bert"]}) is None
    assert family_way({}) is None


def test_the_table_of_the_docs_is_what_is_measured() -> None:
    lines = [" | ".join(HEADINGS), "|".join(["---"] * len(HEADINGS))]
    for family in FAMILIES:
        alone, padded, reading, engine, gradients = measured(family)
        equal = ["yes" if far < 1e-4 else "NO" for far in (alone, padded, gradients)]
        lines.append(" | ".join((family, equal[0], equal[1], reading, engine, equal[2])))
    made = START + "".join(f"| {line} |\n" if "---" not in line else f"|{line}|\n" for line in lines) + STOP
    before = TABLE.read_text(encoding="utf-8")
    head, _, rest = before.partition(START)
    now = head + made + rest.partition(STOP)[2]
    if now != before:
        TABLE.write_text(now, encoding="utf-8")
    assert now == before, "the table was out of date and is rewritten: commit it"
