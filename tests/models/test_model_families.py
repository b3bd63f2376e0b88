"""Families of transformers: none is silently wrong, none fails with an error of its own. Writes the docs' table."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from families import FAMILIES, family_network, family_texts, own_gradients, own_logits, saved_family

import kernelsm
from kernelsm import gradient_features
from kernelsm.models.hugging_face import hugging_face

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
