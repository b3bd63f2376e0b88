"""How long a surrogate's fit takes on one thread, beside an RBF surrogate tuned by leave-one-out in the same run."""

from __future__ import annotations

import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

from comparison.contenders import contender
from kernelsm import bernoulli_masks

SIZES = ((50, 500, 1), (50, 500, 10), (500, 2000, 1))
YARDSTICK = "tuned_rbf"
TURNS, LARGE = 3, 1000  # above so many subsets one turn


def speed(surrogate: str) -> dict[str, dict[str, float]]:
    """Median processor seconds of three fits (one, of many subsets), by turns with the yardstick, as "K50_m500_q10".

    On one thread these are what a fit takes on a machine of one's own, also where others are at work; `wall_seconds`
    are what it took in this run.
    """
    result = {}
    for K, m, q in SIZES:
        rng = np.random.default_rng(0)
        masks = bernoulli_masks(K, m, seed=0).astype(np.float64)
        values = masks @ rng.normal(size=(K, q)) + rng.normal(size=(m, q))
        times: dict[str, list[tuple[float, float]]] = {surrogate: [], YARDSTICK: []}
        with threadpool_limits(1):
            for _ in range(TURNS if m <= LARGE else 1):
                for name, taken in times.items():
                    g = contender(name)
                    begun = time.process_time(), time.perf_counter()
                    g.fit(masks, values)
                    taken.append((time.process_time() - begun[0], time.perf_counter() - begun[1]))
        own, other = (statistics.median(cpu for cpu, _ in taken) for taken in times.values())
        result[f"K{K}_m{m}_q{q}"] = {
            "seconds": round(own, 3),
            "yardstick_seconds": round(other, 3),
            "ratio": round(own / other, 2),
            "wall_seconds": round(statistics.median(wall for _, wall in times[surrogate]), 3),
        }
        print(f"speed K={K} m={m} q={q}: {own:.2f} s, {YARDSTICK} {other:.2f} s", flush=True)
    return result
