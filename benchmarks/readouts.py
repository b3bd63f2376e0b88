"""What readouts with intervals cost on one thread, and exact Shapley interactions against shapiq's exact computer.

shapiq 1.4.1 enumerates all 2^16 subsets of K = 16 tasks; the closed form needs none of them. Both must give the same
numbers.

    .venv/bin/pip install -r requirements-bench.txt
    .venv/bin/python benchmarks/readouts.py
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from machine import publish
from numpy.typing import NDArray

from kernelsm import Interactions, KernelSurrogate, bernoulli_masks
from kernelsm.runtime.threads import limit_blas_threads
from kernelsm.surrogates.kernel_functions import _mean_difference_table

SHAPIQ_K, SHAPIQ_M = 16, 200
SMALL, LARGE = (50, 500, 10), (500, 2000, 1)
MEMORY = (500, 2000, 100)
TOP = 500
READOUTS: tuple[tuple[Any, Any, dict[str, Any]], ...] = (
    ("leave_one_out", "second_difference", {}),
    ("inclusion", "inclusion", {"p": 0.5}),
    ("inclusion", "inclusion", {"size": 100}),
    ("banzhaf", "banzhaf", {}),
    ("shapley", "shapley", {}),
)


def table(K: int, m: int, q: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Masks and noisy outcomes with main effects."""
    rng = np.random.default_rng(0)
    masks = bernoulli_masks(K, m, seed=0)
    return masks, masks @ rng.normal(size=(K, q)) + rng.normal(size=(m, q))


def seconds(work: Callable[[], Any], turns: int = 3) -> float:
    """Median time of some turns after a first one."""
    work()
    times = []
    for _ in range(turns):
        _mean_difference_table.cache_clear()  # nobody reads the same thing twice
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return round(statistics.median(times), 4)


def against_shapiq() -> dict[str, Any]:
    """Shapley interactions of one surrogate, both ways, turn by turn."""
    from shapiq import ExactComputer

    masks, values = table(SHAPIQ_K, SHAPIQ_M, 1)
    g = KernelSurrogate().fit(masks, values[:, 0])
    ours, theirs = [], []
    for _ in range(3):
        _mean_difference_table.cache_clear()
        begun = time.perf_counter()
        closed = g.interactions("shapley")
        closed.std_of(*closed.pairs)
        ours.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        found = ExactComputer(g.predict, n_players=SHAPIQ_K)("SII", order=2)
        theirs.append(time.perf_counter() - begun)
    first, second = closed.pairs
    pairs = np.array([found[(int(j), int(k))] for j, k in zip(first, second, strict=True)])
    disagreement = float(np.abs(pairs - closed.values[first, second, 0]).max())
    assert disagreement < 1e-8, disagreement
    ours_s, theirs_s = statistics.median(ours), statistics.median(theirs)
    return {
        "shapiq_K": SHAPIQ_K, "shapiq_m": SHAPIQ_M, "ours_with_intervals_ms": round(1000 * ours_s, 2),
        "shapiq_s": round(theirs_s, 2), "largest_disagreement": disagreement,
        "speedup_vs_shapiq": round(theirs_s / ours_s, 1),
    }  # fmt: skip


def refit_and_read(masks: NDArray[np.bool_], values: NDArray[np.float64]) -> None:
    """A slider's work: refit, all attributions, all second differences, all intervals."""
    g = KernelSurrogate().fit(masks, values)
    g.attribution()
    interactions = g.interactions()
    interactions.std_of(*interactions.pairs)


def strongest(interactions: Interactions) -> None:
    """Intervals of the strongest pairs."""
    interactions.std_of(*interactions.strongest(TOP))


def large() -> dict[str, Any]:
    """Every readout of many tasks."""
    masks, values = table(*LARGE)
    g = KernelSurrogate().fit(masks, values)
    result: dict[str, Any] = {"large_K_m_q": LARGE, "large_fit_s": seconds(lambda: g.fit(masks, values))}
    for one, two, arguments in READOUTS:
        name = "_".join([one, *arguments])
        result[f"attribution_{name}_s"] = seconds(partial(g.attribution, one, **arguments))
        result[f"interactions_{name}_s"] = seconds(partial(g.interactions, two, **arguments))
        result[f"top_{TOP}_std_{name}_s"] = seconds(partial(strongest, g.interactions(two, **arguments)))
    return result


def peak() -> None:
    """Print the peak memory of all readouts for many tasks and targets, GiB."""
    limit_blas_threads()
    masks, values = table(*MEMORY)
    g = KernelSurrogate().fit(masks, values)
    g.attribution("shapley")
    strongest(g.interactions("shapley"))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def main() -> None:
    """Measure all of it."""
    limit_blas_threads()
    small = seconds(partial(refit_and_read, *table(*SMALL)), turns=15)
    memory = subprocess.run([sys.executable, __file__, "peak"], capture_output=True, text=True, check=True).stdout
    publish(
        "readouts",
        {
            "threads": 1, "small_K_m_q": SMALL, "small_refit_and_all_readouts_s": small, **large(),
            "memory_K_m_q": MEMORY, "memory_peak_gib": round(float(memory), 2), **against_shapiq(),
        },
    )  # fmt: skip


if __name__ == "__main__":
    peak() if sys.argv[1:] == ["peak"] else main()
