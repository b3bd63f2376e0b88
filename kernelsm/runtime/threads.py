"""Fixed thread counts: a chunk of work runs on one thread, and what is no chunk on as many as it is told.

Two OpenBLAS threads made a 500 x 500 eigendecomposition a hundred times slower in small containers, and the last bits
of a product depend on how many threads share it. So limits are set and never left to the libraries.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import joblib
from threadpoolctl import OpenBLASController, ThreadpoolController, threadpool_limits

from kernelsm.runtime.settings import whole_number

WORKERS_VARIABLE = "KERNELSM_WORKERS"


def limit_blas_threads(count: int = 1) -> None:
    """Hold BLAS and OpenMP pools of this process at `count` threads from now on."""
    threadpool_limits(count)
    # the library remembers the thread that set the limit, and with it all that hangs on it: a visitor's whole session
    OpenBLASController.clear_controlling_thread()


def available_cores() -> int:
    """Cores this process may use: those it may run on, or fewer where a container has a smaller share."""
    return int(joblib.cpu_count())


def chosen_cores() -> int:
    """Cores that work is to use: `KERNELSM_WORKERS`, else all that are available.

    Raises
    ------
    InputError
        The variable holds something else than a whole number of 1 or more.
    """
    return whole_number(WORKERS_VARIABLE, available_cores())


def use_torch_threads(count: int | None = None) -> None:
    """Fix torch's thread count; by default all cores that work is to use."""
    import torch

    torch.set_num_threads(count or chosen_cores())


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS, OpenMP and torch at one thread for a while, so that what is computed has the same bits on all cores.

    Examples
    --------
    >>> import numpy as np
    >>> with one_thread():
    ...     product = np.ones((2, 3)) @ np.ones((3, 2))
    """
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    with _pools(len(sys.modules)).limit(limits=1):
        if torch:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


@lru_cache(maxsize=1)
def _pools(modules: int) -> ThreadpoolController:
    """Thread pools of the libraries loaded, looked for anew (2 ms) where modules have been imported since."""
    return ThreadpoolController()
