"""The planted game: the example and how its results were computed."""

from __future__ import annotations

from pathlib import Path

from kernelsm.examples.example import Example

PLANTED = Example(
    name="planted",
    title="Planted game",
    summary=(
        "10 tasks whose every effect is known: two help, one hurts, one does nothing, a lock needs its key, "
        "two copies are redundant, and an XOR pair that a linear surrogate cannot see."
    ),
    folder=Path(__file__).parent,
    truth_is="100 further subsets of the game, without noise",
    subsets=300,
)
