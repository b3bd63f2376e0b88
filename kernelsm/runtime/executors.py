"""Where chunks of work are computed: in this process, in processes of this computer, or on a cluster.

Work that can be cut into chunks is a `Task`: one function for all chunks, called with another argument for each. An
executor computes them and yields each result as it arrives; the process that asks for them, the driver, keeps the
store, so workers need no disk in common with it, and progress, stopping and resuming are the same everywhere (see
`chunked_work`). A chunk is computed on one thread wherever that is, and depends on its argument alone: so results
have the same bits on any number of workers of one kind of processor.

The executor in use is that of the innermost `using`; without one, `InProcess`.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from kernelsm.runtime.memory import available_memory
from kernelsm.runtime.threads import one_thread

_WORKER_MEMORY = 2**27  # of a worker besides what it computes: measured, and rounded up
_SPARE_MEMORY = 2**29  # left for the driver and for others


@dataclass(frozen=True)
class Task:
    """What is done with each of many arguments.

    Parameters
    ----------
    compute : callable
        Takes the argument of a chunk and returns its value, which is all that it may leave behind. It is sent to
        other processes, once to each, with everything that it holds: a method of an object takes the object along.
    in_threads : bool
        Whether several threads of one process may call it at a time and gain by it: it spends its time in large
        products, and changes nothing that it holds.
    memory : int
        Bytes that a chunk takes while it is computed, roughly.
    """

    compute: Callable[[Any], Any]
    in_threads: bool = False
    memory: int = 2**28


@dataclass(frozen=True)
class Chunk:
    """One chunk of a task.

    Parameters
    ----------
    index : int
        Its place among the chunks of the task.
    argument : object
        What is computed with; small.
    name : str
        What it is called where it fails: "retraining, block 3 of 12".
    """

    index: int
    argument: Any
    name: str


@dataclass(frozen=True)
class Result:
    """The value of a chunk, the processor time that it took in seconds, and whether another process spent that."""

    index: int
    value: Any
    seconds: float
    elsewhere: bool = False


class Executor(Protocol):
    """Computes the chunks of a task."""

    def results(self, task: Task, chunks: list[Chunk]) -> Generator[Result, None, None]:
        """Yield the result of each chunk, in whatever order they are finished.

        Closing the iterator ends what is at work. An error that `compute` raises is raised here.

        Raises
        ------
        WorkerDiedError
            A chunk whose process ended again and again.
        SchedulerLostError
            A cluster that can no longer be reached.
        """


class InProcess:
    """Computes chunks in this process: one after the other, or in threads where a task gains by them.

    Parameters
    ----------
    threads : int, optional
        Most threads; as many as torch uses here if not given.

    Examples
    --------
    >>> from kernelsm.runtime.executors import Chunk, InProcess, Task
    >>> chunks = [Chunk(i, i, f"number {i}") for i in range(3)]
    >>> [result.value for result in InProcess().results(Task(abs), chunks)]
    [0, 1, 2]
    """

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads

    def results(self, task: Task, chunks: list[Chunk]) -> Generator[Result, None, None]:
        """Yield the result of each chunk."""
        yield from in_this_process(task, deque(chunks), fitting(task, self.threads or _torch_threads()))


def fitting(task: Task, most: int) -> int:
    """Return how many chunks of a task memory lets be at work at a time, 1 to `most`."""
    memory = available_memory()
    if memory is None:
        return most
    return max(1, min(most, (memory - _SPARE_MEMORY) // (_WORKER_MEMORY + task.memory)))


Leave = Callable[[float, int], bool]


def in_this_process(
    task: Task, chunks: deque[Chunk], threads: int, leave: Leave | None = None
) -> Generator[Result, None, None]:
    """Take chunks from the left and yield their results.

    Parameters
    ----------
    task : Task
    chunks : deque of Chunk
        Those that are begun are taken out.
    threads : int
        Most threads.
    leave : callable, optional
        Told the seconds on the clock that the last chunk took and how many threads are at work, and says whether the
        rest of the chunks is left to others.
    """
    threads = min(threads, len(chunks)) if task.in_threads else 1
    if threads <= 1:
        while chunks:
            chunk = chunks.popleft()
            began, spent = time.monotonic(), time.process_time()
            with one_thread():
                value = task.compute(chunk.argument)
            took = time.monotonic() - began
            yield Result(chunk.index, value, time.process_time() - spent)
            if leave and leave(took, 1):
                return
        return
    # the limit holds for all threads of the process, so it is set around them all
    with one_thread():
        pool = ThreadPoolExecutor(threads, initializer=_one_torch_thread)
        try:
            yield from _from_threads(pool, threads, task, chunks, leave)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _from_threads(
    pool: ThreadPoolExecutor, threads: int, task: Task, chunks: deque[Chunk], leave: Leave | None
) -> Iterator[Result]:
    def compute(chunk: Chunk) -> tuple[Result, float]:
        began, spent = time.monotonic(), time.thread_time()
        value = task.compute(chunk.argument)
        return Result(chunk.index, value, time.thread_time() - spent), time.monotonic() - began

    running: set[Future[tuple[Result, float]]] = set()
    staying = True
    while running or (chunks and staying):
        while chunks and staying and len(running) < threads:
            running.add(pool.submit(compute, chunks.popleft()))
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            result, took = future.result()
            yield result
            staying = staying and not (leave and leave(took, threads))


def _torch_threads() -> int:
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch else 1


def _one_torch_thread() -> None:
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


_CURRENT: ContextVar[Executor] = ContextVar("executor")


def current() -> Executor:
    """Return the executor in use."""
    return _CURRENT.get(InProcess())


@contextmanager
def using(executor: Executor) -> Iterator[Executor]:
    """Compute chunks by an executor for a while.

    Parameters
    ----------
    executor : Executor

    Examples
    --------
    >>> from kernelsm.runtime.executors import InProcess, current, using
    >>> with using(InProcess(threads=2)):
    ...     current().threads
    2
    """
    token = _CURRENT.set(executor)
    try:
        yield executor
    finally:
        _CURRENT.reset(token)
