"""An existing Dask cluster that computes chunks: `KERNELSM_SCHEDULER=tcp://...`.

The driver keeps the store and sends a chunk only where it is not there; workers need kernelsm, in the same version,
and no disk in common with the driver. What the chunks of a task share is sent to every worker once. About two chunks
a worker are under way at a time, so a result is kept as soon as it is there.

A worker that dies has its chunks done again by the scheduler, which gives up on a chunk that has taken four workers
with it (its setting `distributed.scheduler.allowed-failures`, 3).
"""

from __future__ import annotations

import logging
import os
import platform
import queue
import time
import warnings
from collections import deque
from collections.abc import Generator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import kernelsm
from kernelsm.runtime.errors import InputError, SchedulerLostError, WorkerDiedError
from kernelsm.runtime.executors import Chunk, Result, Task
from kernelsm.runtime.extras import needed_by
from kernelsm.runtime.packing import Packed, pack
from kernelsm.runtime.store import content_hash
from kernelsm.runtime.threads import one_thread

if TYPE_CHECKING:
    from distributed import Client, Future

SCHEDULER_VARIABLE = "KERNELSM_SCHEDULER"
_AHEAD = 2  # chunks under way for each worker
_CONNECTING = 10.0  # seconds
_WITHOUT_WORKERS = 60.0  # seconds without any worker after which the work counts as interrupted
_LOOK = 1.0  # seconds between two looks at which workers there are
# what the numbers do not depend on: a difference there does not matter
_NOT_COMPUTED = ("app", "charts", "export", "paper")


class DaskCluster:
    """Computes chunks on a Dask cluster that is there already.

    Parameters
    ----------
    address : str
        Of its scheduler: tcp://host:port, or tls://host:port with certificates by Dask's own settings
        (`distributed.comm.tls`, or DASK_DISTRIBUTED__COMM__TLS__CA_FILE and so on).

    Raises
    ------
    InputError
        No scheduler answers there, its workers have another version of kernelsm, torch, NumPy or Python, or more than
        one thread.
    MissingExtraError
        Dask is not installed.
    """

    def __init__(self, address: str) -> None:
        if not address.startswith(("tcp://", "tls://")):
            raise _no_scheduler(address, "an address of another kind", "tcp://host:port or tls://host:port")
        with needed_by("a cluster"):
            from distributed import Client, Security
        if address.startswith("tls://") and Security().get_connection_args("client")["ssl_context"] is None:
            expected = "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, and so on with CLIENT__CERT and CLIENT__KEY"
            raise _no_scheduler(address, "no certificate of this side", expected)
        logging.getLogger("distributed").setLevel(logging.ERROR)
        self.address = address
        try:
            self._client: Client = Client(address, timeout=_CONNECTING, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise _no_scheduler(address, f"no answer ({str(error)[:200]})", "a scheduler that answers") from None
        try:
            self._check_workers()
        except BaseException:
            self.close()
            raise
        self._shared: tuple[str, Future[Any]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the cluster; what is under way is dropped."""
        self._client.close(timeout=2)

    def results(self, task: Task, chunks: list[Chunk]) -> Generator[Result, None, None]:
        """Yield the result of each chunk.

        Raises
        ------
        WorkerDiedError
            A chunk that has taken four workers with it.
        SchedulerLostError
            The scheduler, or every worker, is gone.
        InputError
            A worker of another version has joined.
        """
        from distributed import CancelledError, KilledWorker

        try:
            packed = pack(task.compute, by_path=False)
        except Exception as error:  # a network of a user's own code may hold anything, an open file or a lock
            found = f"something that cannot be sent to a cluster ({type(error).__name__}: {error})"[:300]
            fix = f"Take it out of the network, or unset {SCHEDULER_VARIABLE} to use this computer alone."
            raise InputError(chunks[0].name, found, "plain values and modules", fix) from error
        left = deque(chunks)
        under_way: dict[str, tuple[Chunk, Future[Any]]] = {}
        arrived: queue.SimpleQueue[str] = queue.SimpleQueue()
        began, workers, looked, seen = uuid4().hex[:12], self._workers(), time.monotonic(), time.monotonic()
        shared = self._share(packed)
        try:
            while left or under_way:
                while left and len(under_way) < _AHEAD * max(1, workers):
                    chunk = left.popleft()
                    key = f"{began}-{chunk.index}"
                    future = self._client.submit(
                        compute_chunk, shared, packed.digest, versions(), chunk.argument, key=key, pure=False
                    )
                    under_way[key] = chunk, future
                    future.add_done_callback(lambda done: arrived.put(done.key))
                try:
                    key = arrived.get(timeout=_LOOK)
                except queue.Empty:
                    key = ""
                if time.monotonic() - looked > _LOOK:
                    workers, looked = self._workers(), time.monotonic()
                seen = time.monotonic() if workers or key else seen
                if time.monotonic() - seen > _WITHOUT_WORKERS or self._client.status != "running":
                    raise SchedulerLostError(self.address)
                if not key:
                    continue
                chunk, future = under_way.pop(key)
                try:
                    value, seconds = future.result()
                except CancelledError:
                    raise SchedulerLostError(self.address) from None
                except KilledWorker as error:
                    raise WorkerDiedError(chunk.name, "its worker died", error.allowed_failures + 1) from None
                yield Result(chunk.index, value, seconds, elsewhere=True)
        finally:
            if under_way and self._client.status == "running":
                self._client.cancel([future for _, future in under_way.values()], force=True)

    def _share(self, packed: Packed) -> Future[Any]:
        """Send what the chunks of a task share to the cluster, if it is not what was sent last.

        As the result of a task of its own, because the scheduler makes that again where the workers that had it are
        gone; workers hand it on to one another.
        """
        if self._shared is None or self._shared[0] != packed.digest:
            self._shared = None  # what was sent before is let go first
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
                future = self._client.submit(_itself, packed, key=f"shared-{packed.digest}", pure=False)
            self._shared = packed.digest, future
        return self._shared[1]

    def _workers(self) -> int:
        self._check_connection()
        try:
            return len(self._client.nthreads())
        except (OSError, TimeoutError):
            raise SchedulerLostError(self.address) from None

    def _check_connection(self) -> None:
        if self._client.status != "running":
            raise SchedulerLostError(self.address)

    def _check_workers(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_WITHOUT_WORKERS)
        except TimeoutError:
            fix = "Start workers: dask worker " + self.address + " --nthreads 1"
            raise InputError(f"scheduler {self.address}", "no worker", "one or more", fix) from None
        for worker, threads in self._client.nthreads().items():
            if threads != 1:
                fix = "Start it with --nthreads 1, and as many workers as there are cores: --nworkers auto."
                raise InputError(f"worker {worker}", f"{threads} threads", "1 thread", fix)
        for worker, found in self._client.run(versions, on_error="return").items():
            if not isinstance(found, dict):  # an older kernelsm, or none
                found = {"kernelsm": f"no kernelsm that can be asked ({str(found)[:120]})"}
            check_versions(versions(), found, worker)


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return what the numbers of a chunk depend on besides its input: versions by package."""
    found = {"kernelsm": f"{kernelsm.__version__} (source {_source()})", "Python": platform.python_version()[:4]}
    for name in ("torch", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def _source() -> str:
    """Eight hex digits of the code that computes: two checkouts of one version may differ."""
    home = Path(kernelsm.__file__).parent
    files = sorted(file for file in home.rglob("*.py") if file.relative_to(home).parts[0] not in _NOT_COMPUTED)
    return content_hash([(file.relative_to(home).as_posix(), file.read_text()) for file in files])[:8]


def check_versions(expected: dict[str, str], found: dict[str, str], worker: str) -> None:
    """Refuse a worker that computes by other code.

    Raises
    ------
    InputError
        Names the worker, what it has and what it should have.
    """
    for name, wanted in expected.items():
        if found.get(name) != wanted:
            fix = "Install the same there as here, and start the worker again."
            raise InputError(f"worker {worker}", f"{name} {found.get(name)}", f"{name} {wanted}", fix)


_lock = Lock()
_compute: dict[str, Any] = {}  # of the task at work, by its digest


def _itself(packed: Packed) -> Packed:
    return packed


def compute_chunk(packed: Packed, digest: str, expected: dict[str, str], argument: Any) -> tuple[Any, float]:
    """Compute a chunk on a worker; returns its value and the processor seconds that it took."""
    check_versions(expected, versions(), f"{platform.node()}, process {os.getpid()}")
    with _lock:
        if digest not in _compute:
            _compute.clear()
            _compute[digest] = packed.unpack()
        compute = _compute[digest]
        spent = time.thread_time()
        with one_thread():
            value = compute(argument)
    return value, time.thread_time() - spent


def _no_scheduler(address: str, found: str, expected: str) -> InputError:
    fix = f"Start it, correct the address, or unset {SCHEDULER_VARIABLE} to use this computer alone."
    return InputError(f"environment variable {SCHEDULER_VARIABLE}, {address[:120]!r}", found, expected, fix)
