"""What GradEx' solver needs, said before it starts: time and memory from sizes alone, and a refusal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache

import numpy as np

from kernelsm.runtime.memory import check_memory

ROOM_PER_MASK = 4 * 10
"""Bytes a mask takes for each output of each sample: outputs, expansions and products of them."""
_LEADING, _ALL_LEADING_UP_TO, _DENSE = 384, 640, 64  # as the solver takes them, see gradex_curvature
# passes over all coordinates, and products with all rows in the leading ones: few rows matter to most steps
_PASSES, _PRODUCTS = 4, 8
# the solver's share of the speed of a large product, and bytes a second at which one core reads rows
_SHARE, _READING = 0.4, 5e9
# what allocators and libraries take beside the arrays, as measured
_ROOM, _BASE = 1.1, 64 * 2**20
AT_WORST = 50
"""How many times as long the hardest problems take: a network that is confidently wrong about a task, with a pull so
weak that it lets go of W0. Measured, see `benchmarks/gradex_convergence.py`."""
_FIX = "Take fewer dimensions, the margin in place of all logits, fewer samples, or a smaller `block` of subsets."


@dataclass(frozen=True)
class SolveCost:
    """What solving m subsets takes.

    Parameters
    ----------
    seconds : float
        On one core of this machine, for a problem of usual difficulty; the hardest take `AT_WORST` times as long.
    memory : int
        Bytes beside the features themselves, at most.
    """

    seconds: float
    memory: int

    def sentence(self) -> str:
        """Say it in words.

        Examples
        --------
        >>> from kernelsm.estimators.gradex_cost import SolveCost
        >>> SolveCost(seconds=90.0, memory=3 * 2**30).sentence()
        'about 90 s on one core and 3.0 GiB of memory'
        """
        time_words = f"about {self.seconds:,.0f} s" if self.seconds >= 1 else "less than a second"
        return f"{time_words} on one core and {self.memory / 2**30:,.1f} GiB of memory"


def solve_cost(
    shape: tuple[int, int, int], masks: int, *, tasks: int, block: int | None = None, test_samples: int = 0
) -> SolveCost:
    """Estimate what the solver needs.

    Parameters
    ----------
    shape : (int, int, int)
        Training samples n, outputs R of each, coordinates k.
    masks : int
        m.
    tasks : int
        K.
    block : int, optional
        Masks solved together; all of them if not given.
    test_samples : int
        Whose losses are read.

    Examples
    --------
    >>> from kernelsm.estimators.gradex_cost import solve_cost
    >>> few, many = (solve_cost((1198, 10, k), 400, tasks=20) for k in (512, 4096))
    >>> few.memory < many.memory
    True
    """
    n, width, k = shape
    rows, test_rows = n * width, test_samples * width
    together = min(masks, block or masks)
    split = k > _ALL_LEADING_UP_TO
    r = _LEADING if split else k
    # the rows task by task, once more those that curve the loss, and a task's own copy; the same in the leading ones
    arrays = 2 * rows * k + rows * k // max(1, tasks) + test_rows * k + 3 * rows * r
    if split:
        arrays += 3 * k * r + tasks * k + rows * tasks
    each = per_mask(shape) + (4 * 6 * k if split else 0)
    memory = int(_ROOM * (4 * arrays + together * each)) + _BASE
    speed = _SHARE * _speed()
    # directions are found on half of the samples
    shared = ((2 * rows * k * r if split else 0) + 4 * rows * r * r) / speed
    # half of the tasks are in a subset; few masks are solved as fast as rows can be read
    blocks = -(-masks // max(1, together))
    solving = _products(2 * _PASSES * split, rows * k, masks, blocks, speed)
    solving += _products(2 * _PRODUCTS, rows * r, masks, blocks, speed)
    return SolveCost(shared + solving + _products(1, test_rows * k, masks, blocks, speed), memory)


def _products(count: float, numbers: int, masks: int, blocks: int, speed: float) -> float:
    """Seconds of products of so many numbers with the columns of all masks."""
    return count * max(numbers * masks / speed, 4 * numbers * blocks / _READING)


def per_mask(shape: tuple[int, int, int]) -> int:
    """Bytes that one mask takes while it is solved, besides what all masks share."""
    n, width, k = shape
    return ROOM_PER_MASK * n * width + 4 * (6 * k + 2 * _DENSE**2)


def check_solve_fits(shape: tuple[int, int, int], cost: SolveCost) -> None:
    """Refuse what this machine has not the memory for.

    Raises
    ------
    InputError
        Says how much it takes and how much is free.
    """
    n, width, k = shape
    what = f"{n:,} samples with {width:,} output{'s' * (width > 1)} of {k:,} coordinates"
    check_memory("GradEx", cost.memory, what=what, fix=_FIX)


@cache
def _speed() -> float:
    """Multiplications and additions a second in single precision, as this machine does a small product just now."""
    a = np.ones((512, 512), dtype=np.float32)
    a @ a
    begun, turns = time.thread_time(), 4
    for _ in range(turns):
        a @ a
    return 2 * turns * 512**3 / max(time.thread_time() - begun, 1e-6)
