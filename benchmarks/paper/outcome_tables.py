"""Outcomes of the examples, and those published with the paper where they are."""

from __future__ import annotations

import os
from pathlib import Path

from coin_flip import published

from kernelsm.outcomes.table import Outcomes
from kernelsm.paper.live import TABLES, example_tables

COIN_FLIP = Path(os.environ.get("COIN_FLIP", Path(__file__).parents[3] / "shared" / "data" / "coin_flip"))


def tables_with_published(names: tuple[str, ...] = TABLES) -> dict[str, Outcomes]:
    """Return outcomes of examples by name, and those published by the authors where `COIN_FLIP` is their folder."""
    tables = example_tables(names)
    if COIN_FLIP.is_dir():
        tables["published"] = published(COIN_FLIP)
    else:
        print(f"without the published outcomes, which are not at {COIN_FLIP} (COIN_FLIP=folder)")
    return tables
