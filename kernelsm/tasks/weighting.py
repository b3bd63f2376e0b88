"""How much groups of samples count: each group the same, or each sample the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.checks import check_choice

Weighting = Literal["equally", "by_size"]
"""Of tasks in the training loss, or of targets in the mean over targets."""

EQUALLY: Weighting = "equally"
"""Each group counts the same (the paper's eq. 1): what suites and files mean that do not say."""
BY_SIZE: Weighting = "by_size"
"""Each sample counts the same, as in pooled training."""

WEIGHTING_FIELDS = ("task_weighting", "target_weighting")
"""What suites, mappings and files call the two."""

FEW_SAMPLES = 10
"""A task of fewer samples says little about where they come from."""
UNEVEN_FROM = 5
"""The two weightings differ a lot where the largest group has more than this many times the smallest."""


def check_weighting(place: str, value: object) -> None:
    """Refuse anything but a `Weighting`.

    Raises
    ------
    InputError
        Names `place`.
    """
    check_choice(place, value, get_args(Weighting))


@dataclass(frozen=True)
class GroupSizes:
    """Tasks or targets, how many samples each has, and how they are weighed.

    Parameters
    ----------
    names : tuple of str
    sizes : tuple of int
        Samples of each, at least one.
    weighting : {"equally", "by_size"}
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    weighting: Weighting = EQUALLY

    def shares(self, weighting: Weighting) -> NDArray[np.float64]:
        """Share of each group in the whole under a weighting; they add up to 1."""
        parts = np.array(self.sizes, dtype=np.float64) if weighting == BY_SIZE else np.ones(len(self.sizes))
        return np.asarray(parts / parts.sum())

    @property
    def smallest(self) -> int:
        """Position of the first group with the fewest samples."""
        return int(np.argmin(self.sizes))

    @property
    def largest(self) -> int:
        """Position of the first group with the most samples."""
        return int(np.argmax(self.sizes))

    @property
    def ratio(self) -> float:
        """Samples of the largest group for each of the smallest."""
        return max(self.sizes) / min(self.sizes)

    @property
    def is_uneven(self) -> bool:
        """Whether the two weightings differ a lot."""
        return self.ratio > UNEVEN_FROM

    @property
    def tiny(self) -> tuple[int, ...]:
        """Positions of groups with fewer than ten samples, the smallest first."""
        few = [position for position, size in enumerate(self.sizes) if size < FEW_SAMPLES]
        return tuple(sorted(few, key=lambda position: (self.sizes[position], position)))
