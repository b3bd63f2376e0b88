"""Long work in a process of its own: started once per content, visible to every session, stoppable and resumable.

A job is a plain function `work(report, store, **arguments)` named by its dotted path; its arguments are JSON.
It runs in a fresh Python process, which the registry starts and watches. What outlives the process is on disk:

- `spec.json`: what is to be done; the folder's name is its content hash, so equal work is one job.
- `status.json`: the newest `JobStatus`, replaced atomically.
- `log.txt`: what the process printed.

The work itself is cut into chunks that the store keeps (see `store`), so stopping, crashing and kill -9 lose at most
one chunk, and starting again resumes. A job ends when the process that started it ends.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import kernelsm
from kernelsm.runtime.atomic_files import write_whole
from kernelsm.runtime.store import cache_root, content_hash

JobState = Literal["queued", "running", "done", "cancelled", "failed", "interrupted"]
ACTIVE: tuple[JobState, ...] = ("queued", "running")
_KILL_AFTER = 1.0


@dataclass(frozen=True)
class JobSpec:
    """What is to be done.

    Parameters
    ----------
    work : str
        Dotted path of a function of kernelsm, "package.module:function".
    arguments : dict
        Its keyword arguments; JSON types only.
    """

    work: str
    arguments: dict[str, Any]

    @property
    def key(self) -> str:
        """Content hash of the spec and of kernelsm's version; the job's identity."""
        return content_hash(kernelsm.__version__, self.work, json.dumps(self.arguments, sort_keys=True))


@dataclass(frozen=True)
class JobStatus:
    """How far a job is: finished and total units of work, chunks computed and reused, seconds, and how it ended."""

    state: JobState = "queued"
    done: int = 0
    total: int = 0
    computed: int = 0
    reused: int = 0
    message: str = ""
    elapsed: float = 0.0
    eta: float | None = None
    result: dict[str, Any] | None = None
    error: str = ""
    pid: int = 0

    @property
    def active(self) -> bool:
        """Whether a process is, or soon will be, at work."""
        return self.state in ACTIVE


def write_status(folder: Path, status: JobStatus) -> None:
    """Replace `status.json` of a job atomically."""
    with write_whole(folder / "status.json") as part:
        part.write_text(json.dumps(asdict(status)))


def read_status(folder: Path) -> JobStatus | None:
    """Read the newest status of a job; None where the job was never started."""
    damaged = JobStatus(state="interrupted", error="status.json was damaged; start again to resume")
    try:
        status = JobStatus(**json.loads((folder / "status.json").read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return damaged
    return status if status.state in get_args(JobState) else damaged


def read_log(folder: Path, lines: int = 12) -> str:
    """Return the last lines that the job printed."""
    try:
        return "\n".join((folder / "log.txt").read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


class JobRegistry:
    """Starts, watches and stops the jobs of one server process.

    Parameters
    ----------
    root : Path, optional
        Cache folder; `cache_root()` if not given.
    at_once : int
        How many jobs run at the same time; the rest are queued.
    """

    def __init__(self, root: Path | None = None, at_once: int = 1) -> None:
        self.root = (root or cache_root()) / "jobs"
        self.root.mkdir(parents=True, exist_ok=True)
        self._slots = threading.Semaphore(at_once)
        self._lock = threading.Lock()
        self._running: dict[str, _RunningJob] = {}

    def folder(self, key: str) -> Path:
        """Folder of a job."""
        return self.root / key

    def start(self, spec: JobSpec) -> str:
        """Start a job, or join it where it is already under way; returns its key."""
        key = spec.key
        self._wait_if_ending(key)
        with self._lock:
            if key in self._running:
                return key
            folder = self.folder(key)
            with write_whole(folder / "spec.json") as part:
                part.write_text(json.dumps(asdict(spec), indent=1))
            write_status(folder, JobStatus(state="queued", message="waiting for a free slot"))
            job = _RunningJob(folder, self._slots)
            self._running[key] = job
        threading.Thread(target=self._watch, args=(key, job), daemon=True, name=f"job-{key[:8]}").start()
        return key

    def cancel(self, key: str) -> None:
        """Stop a job: at once where it is queued, within about a second where it runs."""
        with self._lock:
            job = self._running.get(key)
        if job:
            job.cancel()

    def status(self, key: str) -> JobStatus | None:
        """Newest status; a job whose process ended without writing how is `interrupted`."""
        folder = self.folder(key)
        with self._lock:  # jobs begin and end under the lock, so the status read here is current
            status = read_status(folder)
            if status and status.active and key not in self._running and not _started_by_another(status.pid):
                status = replace(status, state="interrupted", eta=None)
                write_status(folder, status)
        return status

    def wait(self, key: str, timeout: float = 600.0) -> JobStatus | None:
        """Wait until a job and its process have ended, and return its status.

        Raises
        ------
        TimeoutError
            It is still active after `timeout` seconds.
        """
        with self._lock:
            job = self._running.get(key)
        if job and not job.ended.wait(timeout):
            raise TimeoutError(f"job {key[:8]} is still active after {timeout:.0f} s")
        return self.status(key)

    def log(self, key: str) -> str:
        """Last lines that the job printed."""
        return read_log(self.folder(key))

    def _wait_if_ending(self, key: str) -> None:
        """Wait until the process of a job that has finished, or was asked to stop, has ended."""
        with self._lock:
            job = self._running.get(key)
        status = read_status(self.folder(key))
        if job and (job.stop.is_set() or (status and not status.active)):
            job.ended.wait(5 * _KILL_AFTER)

    def _watch(self, key: str, job: _RunningJob) -> None:
        try:
            job.run()
        finally:
            with self._lock:
                self._running.pop(key, None)
            job.ended.set()


class _RunningJob:
    """A job that this server started and that has not ended yet."""

    def __init__(self, folder: Path, slots: threading.Semaphore) -> None:
        self.folder, self.slots = folder, slots
        self.stop = threading.Event()
        self.ended = threading.Event()
        self.process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        while not self.slots.acquire(timeout=0.1):
            if self.stop.is_set():
                self._end("cancelled", "cancelled before it started")
                return
        try:
            if not self.stop.is_set():
                self._run_process()
            else:
                self._end("cancelled", "cancelled before it started")
        finally:
            self.slots.release()

    def _run_process(self) -> None:
        command = [sys.executable, "-m", "kernelsm.runtime.job_process", str(self.folder), str(os.getpid())]
        package_home = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [package_home, os.environ.get("PYTHONPATH", "")]))
        environment = {**os.environ, "PYTHONPATH": path, "KERNELSM_CACHE": str(self.folder.parents[1])}
        with (self.folder / "log.txt").open("wb") as log:
            process = self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        while process.poll() is None:
            if self.stop.wait(0.1):
                self._stop_process(process)
        status = read_status(self.folder) or JobStatus()
        if status.active:  # the process ended without saying how
            if self.stop.is_set():
                self._end("cancelled", "cancelled; finished chunks are kept")
            else:
                self._end("failed", "", f"the process ended with code {process.returncode} and said nothing more")

    @staticmethod
    def _stop_process(process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_KILL_AFTER)
        except subprocess.TimeoutExpired:  # in the middle of a long matrix product: nothing finished is lost
            process.kill()
            process.wait()

    def _end(self, state: JobState, message: str, error: str = "") -> None:
        status = read_status(self.folder) or JobStatus()
        write_status(self.folder, replace(status, state=state, message=message, error=error, eta=None))

    def cancel(self) -> None:
        """Ask for the end; the watching thread carries it out."""
        self.stop.set()


def _started_by_another(pid: int) -> bool:
    """Whether a job process of another server is still alive (it ends itself soon after its server did)."""
    if pid <= 0:
        return False
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"kernelsm.runtime.job_process" in command
