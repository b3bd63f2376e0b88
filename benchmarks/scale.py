"""All cores and a cluster against one core, and what the process that hands out the work costs.

Three kinds of work: the digits retrained, GradEx of the digits, and prompts of movie reviews asked of the default
language model. In one run each is computed by this process alone, a chunk at a time on one thread; by local
processes, their start included; and by a Dask cluster of this computer with as many warm workers. All must give the
same bits. Beside them stands one process with as many threads as cores within each chunk, which is how chunks were
computed before; it is timed on fewer subsets.

The driver: blocks of a retraining's size that cost nothing, through store and status file as in a job, and the same
through Dask's client and scheduler. From the first follows by simulation how much of their time workers are at work:
each takes a fixed time for a block, and the driver serves them one after the other.

    .venv/bin/python benchmarks/scale.py                       # some ten minutes on two cores
    .venv/bin/python benchmarks/scale.py --subsets 20 --only retraining
"""

from __future__ import annotations

import argparse
import heapq
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from machine import publish
from numpy.typing import NDArray

from kernelsm import GradEx, Retraining, Store, bernoulli_masks, fixed_size_masks, gradient_features
from kernelsm.estimators.estimator import Estimator
from kernelsm.examples.movie_reviews.example import movie_reviews
from kernelsm.models.language_model import load_language_model
from kernelsm.pipelines.compute import base_model
from kernelsm.prompts.prompting import Prompting
from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
from kernelsm.runtime.dask_cluster import DaskCluster
from kernelsm.runtime.executors import Chunk, Executor, InProcess, Result, Task, using
from kernelsm.runtime.job_process import StatusReport
from kernelsm.runtime.local_processes import LocalProcesses
from kernelsm.runtime.store import ChunkKind
from kernelsm.runtime.threads import available_cores
from kernelsm.workspace.projects import find_recipe

SUBSETS, GRADEX_FACTOR, PROMPT_SHARE, PROMPT_QUERIES = 200, 20, 0.15, 20
BEFORE_SHARE = 0.1
BLOCKS, REAL_WORKERS = 2000, 2
WORKERS, BLOCK_SECONDS = (2, 16, 128, 500, 2000), (0.15, 1.0, 10.0)
STUBS = ChunkKind("stub_blocks")


class Counted:
    """An executor that adds up the processor seconds of what it yields."""

    def __init__(self, inner: Executor) -> None:
        self.inner, self.seconds = inner, 0.0

    def results(self, task: Task, chunks: list[Chunk]) -> Generator[Result, None, None]:
        """Yield the results of the other one."""
        for result in self.inner.results(task, chunks):
            self.seconds += result.seconds
            yield result


@contextmanager
def many_threads(estimator: Estimator) -> Iterator[Callable[[NDArray[np.bool_]], None]]:
    """What computes the blocks of masks one after the other, with as many torch threads as cores."""
    before = torch.get_num_threads()
    task = estimator._work(None).blocks.task()

    def compute(masks: NDArray[np.bool_]) -> None:
        for start in range(0, len(masks), estimator.block):
            task.compute(masks[start : start + estimator.block])

    torch.set_num_threads(available_cores())
    try:
        yield compute
    finally:
        torch.set_num_threads(before)


def measured(
    make: Callable[[], Estimator], masks: NDArray[np.bool_], cluster: DaskCluster, workers: int
) -> dict[str, Any]:
    """Seconds on the clock and of processors by each executor, and how many times faster than one process each is."""
    make().outcomes(masks[:1])  # the first use of a library is no part of the comparison
    found, times, processor = {}, {}, {}
    for name in ("one process", "local processes", "dask"):
        with ExitStack() as stack:
            began = time.perf_counter()  # processes start within the time, the cluster is there
            executor: Executor = InProcess(1)
            if name == "local processes":
                executor = stack.enter_context(LocalProcesses(workers))
            elif name == "dask":
                executor = cluster
            counted = stack.enter_context(using(Counted(executor)))
            found[name] = make().outcomes(masks).values
            times[name] = time.perf_counter() - began
            assert isinstance(counted, Counted)
            processor[name] = counted.seconds
        print(f"  {name}: {times[name]:.1f} s, processors {processor[name]:.1f} s", flush=True)
    few = masks[: max(1, round(BEFORE_SHARE * len(masks)))]
    with many_threads(make()) as compute:
        began = time.perf_counter()
        compute(few)
        before = (time.perf_counter() - began) / len(few)
    base = times["one process"]
    assert all(np.array_equal(found["one process"], values) for values in found.values())
    return {
        "subsets": len(masks), "blocks": -(-len(masks) // make().block), "seconds": _rounded(times),
        "processor_seconds": _rounded(processor),
        "times_as_fast": {name: round(base / spent, 2) for name, spent in times.items() if name != "one process"},
        "ms_a_subset": round(1e3 * base / len(masks), 1), "ms_a_subset_many_threads": round(1e3 * before, 1),
        "many_threads_on_subsets": len(few), "same_bits": True,
    }  # fmt: skip


def works(subsets: int, folder: Path) -> dict[str, Callable[[], tuple[Callable[[], Estimator], NDArray[np.bool_]]]]:
    """What makes the estimator of each kind of work, and its masks."""

    def digits() -> tuple[Any, Any, Any]:
        recipe = find_recipe("digits")
        return recipe, recipe.suite(), base_model("digits", Store(folder))

    def retraining() -> tuple[Callable[[], Estimator], NDArray[np.bool_]]:
        recipe, suite, model = digits()
        make = partial(Retraining, suite, model, ridge=recipe.ridge, **recipe.retraining)
        return make, bernoulli_masks(suite.K, subsets, seed=1)

    def gradex() -> tuple[Callable[[], Estimator], NDArray[np.bool_]]:
        recipe, suite, model = digits()
        train = gradient_features(model, suite.inputs, suite.labels)
        test = gradient_features(model, suite.test_inputs, suite.test_labels, outputs=train.outputs)
        make = partial(GradEx, suite, train, test, ridge=recipe.ridge)
        return make, bernoulli_masks(suite.K, GRADEX_FACTOR * subsets, seed=1)

    def prompts() -> tuple[Callable[[], Estimator], NDArray[np.bool_]]:
        task = movie_reviews()
        task = replace(task, queries=task.queries[:PROMPT_QUERIES])
        make = partial(Prompting, task, load_language_model(), orders=2)
        count = max(3, round(PROMPT_SHARE * subsets))
        return make, fixed_size_masks(task.K, count, size=task.k, seed=1, distinct=True)

    return {"retraining": retraining, "gradex": gradex, "prompts": prompts}


class Stub:
    """Computes nothing: every block is there at once."""

    def results(self, task: Task, chunks: list[Chunk]) -> Generator[Result, None, None]:
        """Yield a value for each chunk."""
        for chunk in chunks:
            yield Result(chunk.index, task.compute(chunk.argument), 0.0, elsewhere=True)


def driver(cluster: DaskCluster, folder: Path) -> dict[str, Any]:
    """Milliseconds that a block costs the driver and Dask, and how busy that leaves workers."""
    masks = bernoulli_masks(20, BLOCKS, seed=2)
    parts = [masks[i : i + 1] for i in range(BLOCKS)]
    keys = [("0" * 40, "1" * 40, 0.03, None, "base", ("loss", "accuracy", "margin"), part) for part in parts]
    work = ChunkedWork(lambda: Task(lambda part: np.zeros((len(part), 3, 10))), STUBS, "stub")
    costs = {}
    for name, executor in (("driver", Stub()), ("driver_and_dask", cluster)):
        place = folder / name
        place.mkdir()
        store, report = Store(place), StatusReport(place)
        with using(executor):
            began = time.perf_counter()
            computed_chunks(work, keys, parts, store, report)
            costs[name] = (time.perf_counter() - began) / BLOCKS
    began = time.perf_counter()
    computed_chunks(work, keys, parts, Store(folder / "driver"), StatusReport(folder / "driver"))
    costs["found_again"] = (time.perf_counter() - began) / BLOCKS
    return {
        "blocks": BLOCKS, "ms_a_block": {name: round(1e3 * cost, 2) for name, cost in costs.items()},
        "share_of_time_at_work": {
            f"{seconds:g} s a block": {
                str(workers): round(utilisation(workers, seconds, costs["driver"]), 3) for workers in WORKERS
            }
            for seconds in BLOCK_SECONDS
        },
        "workers_served": {f"{seconds:g} s a block": int(seconds / costs["driver"]) for seconds in BLOCK_SECONDS},
    }  # fmt: skip


def utilisation(workers: int, seconds: float, cost: float, blocks_each: int = 20) -> float:
    """Share of their time that workers are at work, each with one more block waiting, served by one driver."""
    ends = [(seconds, worker) for worker in range(workers)]
    heapq.heapify(ends)
    waiting = dict.fromkeys(range(workers), 1)  # blocks that a worker has besides the one at work
    free, busy, now = 0.0, float(workers) * seconds, 0.0
    for _ in range((blocks_each - 1) * workers):
        now, worker = heapq.heappop(ends)
        # the driver takes results in order and sends the next block, which the worker begins after the one that waits
        free = max(free, now) + cost
        begins = now if waiting[worker] and free <= now + seconds else free
        heapq.heappush(ends, (begins + seconds, worker))
        busy += seconds
    return busy / (workers * max(end for end, _ in ends))


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(number, 2) for name, number in numbers.items()}


def main() -> None:
    """Measure, and write the result where everything was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subsets", type=int, default=SUBSETS, help="retrained subsets; the others follow")
    parser.add_argument("--only", nargs="+", choices=("retraining", "gradex", "prompts", "driver"))
    options = parser.parse_args()
    from distributed import LocalCluster

    workers = max(REAL_WORKERS, available_cores())
    load = [os.getloadavg()[0]]
    result: dict[str, Any] = {"workers": workers}
    with (
        TemporaryDirectory() as name,
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as local,
        DaskCluster(local.scheduler_address) as cluster,
    ):
        folder = Path(name)
        for kind, prepare in works(options.subsets, folder).items():
            if not options.only or kind in options.only:
                print(kind, flush=True)
                make, masks = prepare()
                with using(cluster):
                    make().outcomes(masks[:1])  # warm
                result[kind] = measured(make, masks, cluster, workers)
                load.append(os.getloadavg()[0])
        if not options.only or "driver" in options.only:
            result["driver"] = driver(cluster, folder)
    result["load_average"] = {"median": round(median(load), 1), "all": [round(one, 1) for one in load]}
    if options.only or options.subsets != SUBSETS:
        print(result)
    else:
        publish("scale", result)


if __name__ == "__main__":
    main()
