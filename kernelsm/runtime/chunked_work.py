"""Chunks of work through the store: found there, or computed wherever the executor in use computes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kernelsm.runtime.executors import Chunk, Task, current
from kernelsm.runtime.progress import Report, silent
from kernelsm.runtime.store import MISSING, ChunkKind, Store
from kernelsm.runtime.threads import one_thread


@dataclass(frozen=True)
class ChunkedWork:
    """Work that is cut into chunks.

    Parameters
    ----------
    task : callable
        Returns the `Task`. It is called once, on one thread, where a chunk is not in the store; what all chunks share
        is made there.
    kind : ChunkKind
        What the chunks are called in the store.
    message : str
        What a report says after each chunk; with its number, also the name of a chunk that fails.
    """

    task: Callable[[], Task]
    kind: ChunkKind
    message: str


def computed_chunks(
    work: ChunkedWork,
    keys: Sequence[tuple[Any, ...]],
    arguments: Sequence[Any],
    store: Store | None = None,
    report: Report = silent,
) -> list[Any]:
    """Return the values of all chunks, in order.

    All are looked up first; each of the others is kept as soon as it arrives, in whatever order, and then reported.

    Parameters
    ----------
    work : ChunkedWork
    keys : sequence of tuple
        What each chunk is found by, as `Store.chunk` takes it; not used without a store.
    arguments : sequence
        What each chunk is computed with.
    store, report
        Where finished chunks are kept, and what is called after each.

    Raises
    ------
    WorkerDiedError, SchedulerLostError
        As executors.

    Examples
    --------
    >>> from kernelsm.runtime.chunked_work import ChunkedWork, computed_chunks
    >>> from kernelsm.runtime.executors import Task
    >>> from kernelsm.runtime.store import ChunkKind
    >>> work = ChunkedWork(lambda: Task(abs), ChunkKind("sizes"), "sizes")
    >>> computed_chunks(work, keys=[(-1,), (2,)], arguments=[-1, 2])
    [1, 2]
    """
    total, done = len(arguments), 0
    values: list[Any] = [MISSING] * total
    if store is not None:
        for index, key in enumerate(keys):
            values[index] = store.find(work.kind, key)
            if values[index] is not MISSING:
                done += 1
                report(done, total, work.message, reused=True)
    missing = [
        Chunk(index, argument, f"{work.message}, block {index + 1} of {total}")
        for index, argument in enumerate(arguments)
        if values[index] is MISSING
    ]
    if not missing:
        return values
    with one_thread():
        task = work.task()
    # where the report stops the work, what is at work ends at once
    with closing(current().results(task, missing)) as results:
        for result in results:
            values[result.index] = result.value
            if store is not None:
                store.put(
                    work.kind, keys[result.index], result.value, seconds=result.seconds, elsewhere=result.elsewhere
                )
            done += 1
            report(done, total, work.message, reused=False)
    return values
