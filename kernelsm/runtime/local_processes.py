"""Processes of this computer that compute chunks, one thread each.

Kept by hand because pools of the libraries (`concurrent.futures`, loky) break as a whole when one of their processes
is killed, and cannot say which chunk was at work in it. Here each worker has a pipe of its own and one chunk at a
time: where it ends, that chunk is done again by another one.

What all chunks of a task share is written once into a file without a name, which every worker opens as a memory map
(see `packing`): weights and features take memory once, however many workers there are. Workers are forked from a
process that has imported torch and does nothing else, which takes milliseconds and some megabytes each; where that is
not to be had, they start anew. They end when the driver does, even by kill -9.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Generator
from functools import cached_property
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import recv_handle, send_handle
from types import TracebackType
from typing import Any, Self

from kernelsm.runtime.errors import WorkerDiedError
from kernelsm.runtime.executors import Chunk, Result, Task, fitting, in_this_process
from kernelsm.runtime.packing import pack, unpack_file
from kernelsm.runtime.threads import chosen_cores, one_thread

logger = logging.getLogger(__name__)

TRIES = 4
"""A chunk whose worker ends is done again up to three times."""
_MOST_THREADS = 4
"""So many threads of one process do what gains by threads as fast as processes do, and need no start."""
_START_SECONDS = 1.5  # measured: until two workers have imported torch and opened what they share
_WORTH_IT = 4.0  # how many times the start the work left must be worth
# what a worker would import one by one, if its ancestor had not done so for all
_IMPORTED_FOR_ALL = ("transformers.models.", "kernelsm.")


class LocalProcesses:
    """Computes chunks in several processes where the work is worth their start, and in this process until then.

    The first chunks are computed here and timed. Once what is left would take four times as long as the processes
    need to start, they are started; they stay for further tasks until this object is closed. Tasks that gain by
    threads are computed in threads of this process where four are enough for all cores.

    Parameters
    ----------
    workers : int, optional
        Processes; `KERNELSM_WORKERS`, or one for each core, if not given. Fewer are started where memory is short.
    start_seconds : float
        What the start counts as. With 0 the processes start at once, for every task.

    Examples
    --------
    >>> from kernelsm.runtime.executors import using
    >>> from kernelsm.runtime.local_processes import LocalProcesses
    >>> with LocalProcesses(workers=2) as processes, using(processes):
    ...     pass  # estimators compute their outcomes with two processes here
    """

    def __init__(self, workers: int | None = None, *, start_seconds: float = _START_SECONDS) -> None:
        self.workers = workers or chosen_cores()
        self.start_seconds = start_seconds
        self._pool: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes at once."""
        while self._pool:
            self._pool.pop().kill()

    def results(self, task: Task, chunks: list[Chunk]) -> Generator[Result, None, None]:
        """Yield the result of each chunk.

        Raises
        ------
        WorkerDiedError
            A chunk whose worker ended four times.
        """
        left = deque(chunks)
        workers = fitting(task, self.workers)
        if self.start_seconds and task.in_threads and workers <= _MOST_THREADS:
            yield from in_this_process(task, left, workers)
        elif self.start_seconds and not self._pool:
            taken: list[float] = []

            def leave(seconds: float, threads: int) -> bool:
                taken.append(seconds)
                # much of a short first chunk is what is loaded and warmed up once
                if len(taken) == 1 and seconds < self.start_seconds:
                    return False
                here = min(taken) * len(left) / threads
                return workers > 1 and here > _WORTH_IT * self.start_seconds

            yield from in_this_process(task, left, workers, leave)
        if left:
            yield from self._from_workers(task, left, workers)

    def _from_workers(self, task: Task, left: deque[Chunk], most: int) -> Generator[Result, None, None]:
        most = min(most, len(left))
        try:
            packed = pack(task.compute)
        except Exception as error:  # a network of a user's own code may hold anything, an open file or a lock
            reason = f"{type(error).__name__}: {error}"
            logger.warning("what chunks share cannot be sent to other processes (%s): computed in this one", reason)
            yield from in_this_process(task, left, most)
            return
        deaths: Counter[int] = Counter()
        busy: dict[Connection, _Worker] = {}
        with tempfile.TemporaryFile() as file:
            packed.write(file)

            def give(worker: _Worker) -> None:
                """Give a worker its next chunk; what it shares first where it has another one."""
                busy[worker.connection] = worker
                worker.chunk = left.popleft()
                # a pipe that is broken is found so when an answer is waited for
                with contextlib.suppress(OSError):
                    if worker.shared != packed.digest:
                        worker.connection.send(("share", packed.places))
                        send_handle(worker.connection, file.fileno(), worker.process.pid)
                        worker.shared = packed.digest
                    worker.connection.send(("compute", worker.chunk.argument))

            try:
                idle = self._idle(most)
                for worker in idle:
                    give(worker)
                while busy:
                    for connection in wait(list(busy)):
                        assert isinstance(connection, Connection)
                        worker = busy.pop(connection)
                        chunk, answer = worker.chunk, worker.answer()
                        if answer is None:
                            deaths[chunk.index] += 1
                            how = worker.ended()
                            self._pool.remove(worker)
                            if deaths[chunk.index] >= TRIES:
                                raise WorkerDiedError(chunk.name, how, TRIES)
                            left.appendleft(chunk)
                            (worker,) = self._started(1)
                        if left:
                            give(worker)
                        if isinstance(answer, BaseException):
                            raise answer
                        if answer is not None:
                            value, seconds = answer
                            yield Result(chunk.index, value, seconds, elsewhere=True)
            finally:
                for worker in busy.values():  # at work for nobody
                    worker.kill()
                    self._pool.remove(worker)

    def _idle(self, count: int) -> list[_Worker]:
        """As many workers as asked for; those that are there first."""
        return self._pool[:count] + self._started(count - len(self._pool))

    def _started(self, count: int) -> list[_Worker]:
        started = []
        for _ in range(count):
            worker = _Worker()
            self._pool.append(worker)
            started.append(worker)
        return started


class _Worker:
    """One process, as the driver sees it."""

    chunk: Chunk
    shared = ""

    def __init__(self) -> None:
        # other systems' libraries do not survive a fork
        method = "forkserver" if sys.platform.startswith("linux") else "spawn"
        context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload(_to_import())
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def answer(self) -> Any:
        """Return what the worker sent: (value, seconds), or an exception to raise; None where it has ended."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def ended(self) -> str:
        """Say how the process ended, and let go of it."""
        self.process.join(1.0)
        code = self.process.exitcode
        self.kill()
        if code is None:
            return "it closed its pipe"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.connection.close()


def _to_import() -> list[str]:
    """What this process has imported and its workers need."""
    wanted = [name for name in sys.modules if name == "torch" or name.startswith(_IMPORTED_FOR_ALL)]
    return [name for name in wanted if not name.endswith("__main__")]


def _work(connection: Connection) -> None:
    """Be a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the driver too, which ends its workers
    _end_with_driver()
    shared: _Shared | None = None
    while True:
        try:
            what, content = connection.recv()
            if what == "share":
                shared = None  # what was shared before is let go first
                shared = _Shared(recv_handle(connection), content)
                continue
        except (EOFError, OSError):
            return
        assert shared is not None
        connection.send(shared.answer(content))


class _Shared:
    """What the chunks of a task share, in the process that computes them."""

    def __init__(self, descriptor: int, places: list[tuple[int, int]]) -> None:
        self._descriptor, self._places = descriptor, places

    @cached_property
    def compute(self) -> Any:
        """The task's function."""
        try:
            return unpack_file(self._descriptor, self._places)
        finally:
            os.close(self._descriptor)

    def answer(self, argument: Any) -> Any:
        """Return (value, processor seconds) of a chunk, or the exception that it raised."""
        try:
            compute = self.compute
            spent = time.process_time()
            with one_thread():
                value = compute(argument)
        except Exception as error:
            traceback.print_exc()
            return _that_travels(error)
        return value, time.process_time() - spent


def _that_travels(error: Exception) -> Exception:
    """An exception that another process can read."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _end_with_driver() -> None:
    driver = multiprocessing.parent_process()
    assert driver is not None

    def watch() -> None:
        wait([driver.sentinel])
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()
