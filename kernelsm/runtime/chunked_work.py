"""Chunks of work through the store: found there, or computed wherever the executor in use computes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
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
    With a store, chunks of one content are computed once.

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

    def finished(index: int, value: Any, *, reused: bool) -> None:
        nonlocal done
        values[index] = value
        done += 1
        report(done, total, work.message, reused=reused)

    missing: list[Chunk] = []
    first: dict[Path, list[int]] = {}  # chunks of one content
    for index, argument in enumerate(arguments):
        if store is not None:
            place = store.place(work.kind, keys[index])
            alike = first.setdefault(place, [])
            alike.append(index)
            if len(alike) > 1 and values[alike[0]] is MISSING:
                continue
            if place.exists() and (value := store.find(work.kind, keys[index])) is not MISSING:
                finished(index, value, reused=True)
                continue
        missing.append(Chunk(index, argument, f"{work.message}, block {index + 1} of {total}"))
    if not missing:
        return values
    with one_thread():
        task = work.task()
    # where the report stops the work, what is at work ends at once
    with closing(current().results(task, missing)) as results:
        for result in results:
            index = result.index
            repeated: list[int] = []
            if store is not None:
                store.put(work.kind, keys[index], result.value, seconds=result.seconds, elsewhere=result.elsewhere)
                repeated = first[store.place(work.kind, keys[index])][1:]
            finished(index, result.value, reused=False)
            for other in repeated:
                if store is not None:
                    store.count(reused=True)
                finished(other, result.value, reused=True)
    return values
