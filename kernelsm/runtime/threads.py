"""Fixed thread counts: small solves run on one BLAS thread, gradient jobs on all cores.

Two OpenBLAS threads made a 500 x 500 eigendecomposition a hundred times slower in small containers, so the
limit is set once per process and never left to the library.
"""

from __future__ import annotations

import os

from threadpoolctl import threadpool_limits


def limit_blas_threads(count: int = 1) -> None:
    """Hold BLAS and OpenMP pools of this process at `count` threads from now on."""
    threadpool_limits(count)


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def use_torch_threads(count: int | None = None) -> None:
    """Fix torch's thread count; by default all cores this process may use."""
    import torch

    torch.set_num_threads(count or available_cores())
