"""Fresh weights from a seed, without changing torch's global generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch within the block; afterwards its global generator is in the same state as before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
