"""Four sources of very different sizes, of which the smallest has its labels flipped: a plain linear problem."""

from __future__ import annotations

import numpy as np
import pandas as pd

SIZES = {"large": 2000, "middle": 200, "small": 20, "flipped": 5}
TESTED = {"large": 250, "middle": 50}
INPUTS = ("f0", "f1", "f2", "f3", "f4", "f5")


def uneven_sources() -> pd.DataFrame:
    """Training rows of every source, test rows of two."""
    rng = np.random.default_rng(0)
    direction = rng.normal(size=6)
    direction /= np.linalg.norm(direction)
    parts = []
    for split, sizes in (("train", SIZES), ("test", TESTED)):
        for source, size in sizes.items():
            inputs = rng.normal(size=(size, 6))
            label = (inputs @ direction > 0).astype(int)
            inputs = (inputs + 0.4 * np.outer(2 * label - 1, direction)).round(4)  # no row is near the border
            columns = dict(zip(INPUTS, inputs.T, strict=True))
            label = 1 - label if source == "flipped" else label
            parts.append(pd.DataFrame({**columns, "label": label, "source": source, "split": split}))
    return pd.concat(parts).sample(frac=1.0, random_state=0)


def uneven_csv() -> bytes:
    """The same as a file that a user brings."""
    return uneven_sources().to_csv(index=False).encode()
