"""Modular addition: the example and how its results were computed."""

from __future__ import annotations

from pathlib import Path

from kernelsm.examples.example import WEIGHTS, Example
from kernelsm.examples.modular import modular_recipe

_FOLDER = Path(__file__).parent

MODULAR_ADDITION = Example(
    name="modular-addition",
    title="Modular addition",
    summary=(
        "25 tasks, the cells of the table of a + b mod 97 by ranges of both operands. A small transformer "
        "has learnt part of it. Which cells of the table help which others?"
    ),
    folder=_FOLDER,
    truth_is="100 further subsets on which the network was really fine-tuned",
    recipe=modular_recipe("addition", 0.5, 1.0, _FOLDER / WEIGHTS),
    networks=1,
)
