"""Modular quadratic: the example and how its results were computed."""

from __future__ import annotations

from pathlib import Path

from kernelsm.examples.example import WEIGHTS, Example
from kernelsm.examples.modular import modular_recipe

_FOLDER = Path(__file__).parent

MODULAR_QUADRATIC = Example(
    name="modular-quadratic",
    title="Modular quadratic",
    summary=(
        "The same 25 cells for a² + ab + b² mod 97, which the transformer knows by heart more than it "
        "understands: cells share little with others."
    ),
    folder=_FOLDER,
    truth_is="100 further subsets on which the network was really fine-tuned",
    recipe=modular_recipe("quadratic", 0.7, 0.9, _FOLDER / WEIGHTS),
    networks=1,
)
