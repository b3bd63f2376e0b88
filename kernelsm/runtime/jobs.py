"""Long work in a process of its own: started once per content, visible to every session, stoppable and resumable.

A job is a plain function `work(report, store, **arguments)` named by its dotted path; its arguments are JSON. It
waits in the queue that all servers of a cache share (see `job_queue`) until it is its turn, and then runs in a fresh
Python process, which a server starts and watches.

The work itself is cut into chunks that the store keeps (see `store`), so stopping, crashing and kill -9 lose at most
one chunk, and starting again resumes. A job ends when the server that runs it ends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from kernelsm.runtime.disk_errors import disk_words
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.job import JobSpec, JobStatus, read_log, read_status, write_spec, write_status
from kernelsm.runtime.job_queue import NOBODY, JobQueue, QueuedJob
from kernelsm.runtime.running_job import RunningJob, write_ending
from kernelsm.runtime.settings import whole_number
from kernelsm.runtime.store import cache_root
from kernelsm.runtime.threads import available_cores

logger = logging.getLogger(__name__)

_TICK, _SIGN_OF_LIFE = 0.1, 5.0
_LONGEST_END = 5.0


@dataclass(frozen=True)
class Place:
    """Where a job stands in the queue: it is the `number`-th of `waiting` jobs, and `running` run."""

    number: int
    waiting: int
    running: int


def _as_of_now(status: JobStatus, folder: Path) -> JobStatus:
    """The status of a job that runs, whose clock goes on since it last said how far it is."""
    try:
        since = max(0.0, time.time() - (folder / "status.json").stat().st_mtime)
    except OSError:
        return status
    eta = None if status.eta is None or status.eta <= since else status.eta - since
    return replace(status, elapsed=status.elapsed + since, eta=eta)


class JobRegistry:
    """Starts, watches and stops the jobs of one server process, with the servers of the same cache.

    Parameters
    ----------
    root : Path, optional
        Cache folder; `cache_root()` if not given.
    at_once : int, optional
        How many jobs run on this machine at the same time, the rest wait; by default as `KERNELSM_JOBS_AT_ONCE` says,
        else as many as this process may use cores.
    per_owner : int, optional
        How many jobs of one owner wait or run; by default as `KERNELSM_JOBS_PER_SESSION` says, else 4.
    unwatched : float, optional
        Seconds after which a job is dropped of whose owners none is there; by default the minutes of
        `KERNELSM_UNWATCHED_MINUTES`, else twelve hours.
    present : callable, optional
        Returns the owners who are there now; without it all are taken to be there while the server is.

    Raises
    ------
    InputError
        One of the environment variables holds no such number.
    """

    def __init__(
        self,
        root: Path | None = None,
        at_once: int | None = None,
        per_owner: int | None = None,
        unwatched: float | None = None,
        present: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        self.root = (root or cache_root()) / "jobs"
        self.at_once = at_once or whole_number("KERNELSM_JOBS_AT_ONCE", available_cores())
        self.per_owner = per_owner or whole_number("KERNELSM_JOBS_PER_SESSION", 4)
        minutes = whole_number("KERNELSM_UNWATCHED_MINUTES", 720)
        self.unwatched = 60.0 * minutes if unwatched is None else unwatched
        self._present = present
        self._queue = JobQueue(self.root.parent)
        self._lock = threading.RLock()
        self._running: dict[str, RunningJob] = {}
        self._unwritten: dict[str, JobStatus] = {}  # how jobs ended where the disk did not take it
        self._dispatcher: threading.Thread | None = None
        self._wake = threading.Event()
        self._last_sign = 0.0

    def folder(self, key: str) -> Path:
        """Folder of a job."""
        return self.root / key

    def start(self, spec: JobSpec, owner: str = NOBODY) -> str:
        """Queue a job for an owner, or join it where it is already under way; returns its key.

        Raises
        ------
        InputError
            The owner has as many jobs as one may have.
        OSError
            The cache cannot be written to.
        """
        key = spec.key
        self._unwritten.pop(key, None)
        self._wait_if_ending(key)
        with self._lock:
            if owner != NOBODY and self._queue.claimed_by(owner, except_job=key) >= self.per_owner:
                found = f"{self.per_owner} of yours that wait or run"
                fix = "Wait until one has ended, or cancel one."
                raise InputError("jobs", found, f"at most {self.per_owner} at the same time", fix)
            if key in self._running:  # also where the queue was deleted meanwhile
                self._queue.keep([self._running[key].queued])
            elif self._queue.find(key) is None:
                write_spec(self.folder(key), spec)
                write_status(self.folder(key), JobStatus(state="queued", message="waiting for its turn"))
            self._queue.add(key, owner)
            if self._dispatcher is None:
                self._dispatcher = threading.Thread(target=self._dispatch, daemon=True, name="jobs")
                self._dispatcher.start()
        self._wake.set()
        return key

    def cancel(self, key: str, owner: str) -> bool:
        """Take back what an owner started; it stops within about a second unless another owner started it too.

        Returns False where the job is not of this owner.
        """
        mine = self._queue.withdraw(key, owner)
        self._wake.set()
        return mine

    def end(self, key: str, why: str = "cancelled") -> None:
        """Stop a job, whoever started it."""
        self._queue.end(key, why)
        self._wake.set()

    def status(self, key: str) -> JobStatus | None:
        """Newest status; a job that no server runs and that has not said how it ended is `interrupted`."""
        folder = self.folder(key)
        with self._lock:  # jobs of this server begin and end under the lock
            if key in self._unwritten:
                return self._unwritten[key]
            status = read_status(folder)
            if status is None:
                return None
            queued = self._queue.find(key)
            if queued is None and status.active:
                status = read_status(folder) or status  # another server's may have ended between the two looks
                if status.active:
                    return replace(status, state="interrupted", eta=None)
            if queued is not None and not queued.running and not status.active:
                return replace(status, state="queued", eta=None)
            if queued is not None and status.state == "cancelled":  # its process ends, and then it is told why
                return replace(status, state="running", message="ending", eta=None)
            if status.state == "running":
                return _as_of_now(status, folder)
        return status

    def owns(self, key: str, owner: str) -> bool:
        """Whether an owner started a job that waits or runs."""
        queued = self._queue.find(key)
        return queued is not None and owner in queued.owners

    def place(self, key: str) -> Place | None:
        """Return where a job stands in the queue; None where it does not wait."""
        waiting = [job.key for job in self._queue.waiting()]
        if key not in waiting:
            return None
        running = sum(job.running for job in self._queue.jobs())
        return Place(waiting.index(key) + 1, len(waiting), running)

    def jobs(self) -> list[QueuedJob]:
        """Return all jobs that wait or run: those that run first, then the others in the order of their turns."""
        return [*(job for job in self._queue.jobs() if job.running), *self._queue.waiting()]

    def wait(self, key: str, timeout: float = 600.0) -> JobStatus | None:
        """Wait until a job and its process have ended, and return its status.

        Raises
        ------
        TimeoutError
            It is still active after `timeout` seconds.
        """
        end = time.monotonic() + timeout
        while key not in self._unwritten and (key in self._running or self._queue.find(key) is not None):
            if time.monotonic() > end:
                raise TimeoutError(f"job {key[:8]} is still active after {timeout:.0f} s")
            time.sleep(0.02)
        return self.status(key)

    def log(self, key: str) -> str:
        """Last lines that the job printed."""
        return read_log(self.folder(key))

    def _wait_if_ending(self, key: str) -> None:
        """Wait until a job that has finished, or was asked to stop, is out of the queue."""
        end = time.monotonic() + _LONGEST_END
        while time.monotonic() < end:
            queued, status = self._queue.find(key), read_status(self.folder(key))
            ending = queued.ending if queued else ""
            if not ending and (status is None or status.active):
                return  # it waits, or is at work
            if not queued and key not in self._running:
                return  # it has ended
            self._wake.set()
            time.sleep(0.02)

    def _dispatch(self) -> None:
        """Take jobs when it is their turn, and see to the end of those that are to end, until there are none."""
        said = ""
        while True:
            try:
                self._tick()
                said = ""
                with self._lock:
                    if not self._running and not self._queue.jobs():
                        self._dispatcher = None
                        return
            except OSError as error:  # a full disk, a cache that is gone: once it can be written to, work goes on
                if str(error) != said:
                    logger.warning("the queue of jobs cannot be served: %s", error)
                said = str(error)
            self._wake.wait(_TICK)
            self._wake.clear()

    def _tick(self) -> None:
        if time.monotonic() - self._last_sign > _SIGN_OF_LIFE:
            self._last_sign = time.monotonic()
            self._say_who_is_there()
        for job in self._queue.jobs():
            if job.ending and job.key in self._running:
                self._running[job.key].stop(job.ending)
            elif job.ending and not job.running:
                with self._lock:
                    write_ending(self.folder(job.key), job.ending)
                    self._queue.remove(job.key)
        while len(self._running) < self.at_once and (running := self._take()):
            threading.Thread(target=self._watch, args=(running,), daemon=True, name="job").start()

    def _take(self) -> RunningJob | None:
        """Take the job whose turn it is, if it is one's turn."""
        with self._lock:
            job = self._queue.take(self.at_once)
            if job is None:
                return None
            sharing = max(1, min(self._want_cores(), self.at_once))
            running = RunningJob(self.folder(job.key), job, max(1, available_cores() // sharing))
            self._running[job.key] = running
        return running

    def _want_cores(self) -> int:
        """How many jobs wait or compute: one that has said how it ended is about to leave its cores to the others."""
        ended = 0
        for job in self._queue.jobs():
            status = read_status(self.folder(job.key)) if job.running else None
            ended += status is not None and status.state in ("done", "failed")
        return len(self._queue.jobs()) - ended

    def _say_who_is_there(self) -> None:
        self._queue.keep(job.queued for job in list(self._running.values()))
        self._queue.sweep()
        owners = self._present() if self._present else {owner for job in self._queue.jobs() for owner in job.owners}
        self._queue.saw(owners)
        self._queue.drop_unwatched(self.unwatched)

    def _watch(self, job: RunningJob) -> None:
        key = job.queued.key
        try:
            job.run()
        except OSError as error:
            logger.warning("job %s ended, and how could not be written: %s", key[:8], error)
            ended = job.unwritten or JobStatus(state="failed", error=disk_words(error))
            self._unwritten[key] = ended
        finally:
            self._leave(key)
            self._wake.set()

    def _leave(self, key: str) -> None:
        """Take a job that has ended out of the queue, as soon as the queue can be written to."""
        while True:
            try:
                with self._lock:
                    self._queue.remove(key)
                    self._running.pop(key, None)
            except OSError:
                time.sleep(_TICK)
            else:
                return
