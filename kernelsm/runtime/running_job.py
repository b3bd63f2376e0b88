"""The process of one job, as the server that started it sees it: begun, watched, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from kernelsm.runtime.disk_errors import disk_words, error_of
from kernelsm.runtime.job import JobStatus, read_status, write_status
from kernelsm.runtime.job_queue import QueuedJob
from kernelsm.runtime.secret_keys import ON_STDIN, TYPED, written_for_a_job

_KILL_AFTER = 1.0
_ENDINGS = {
    "cancelled": "cancelled; finished chunks are kept",
    "dropped": "dropped (nobody watched it); finished chunks are kept",
    "ended": "ended by the administrator; finished chunks are kept",
}


def write_ending(folder: Path, why: str) -> None:
    """Write into `status.json` that a job was ended, and why."""
    status = read_status(folder) or JobStatus()
    message = _ENDINGS.get(why, _ENDINGS["cancelled"])
    write_status(folder, replace(status, state="cancelled", message=message, eta=None))


class RunningJob:
    """A job that this server has taken and that has not ended yet.

    Parameters
    ----------
    folder : Path
        Of the job.
    queued : QueuedJob
        Its place in the queue.
    workers : int
        How many cores it may use.
    """

    def __init__(self, folder: Path, queued: QueuedJob, workers: int) -> None:
        self.folder, self.queued, self.workers = folder, queued, workers
        self.unwritten: JobStatus | None = None
        self._stop = threading.Event()
        self._why = ""

    def stop(self, why: str) -> None:
        """Ask for the end; the watching thread carries it out within about a second."""
        self._why = self._why or why
        self._stop.set()

    def run(self) -> None:
        """Carry the job out in a process of its own; however that ends, `status.json` says so."""
        if self._stop.is_set():
            write_ending(self.folder, self._why)
            return
        command = [sys.executable, "-m", "kernelsm.runtime.job_process", str(self.folder), str(os.getpid())]
        package_home = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, [package_home, os.environ.get("PYTHONPATH", "")]))
        environment = {
            **os.environ, "PYTHONPATH": path, "KERNELSM_CACHE": str(self.folder.parents[1]),
            "KERNELSM_WORKERS": str(self.workers),
        }  # fmt: skip
        keys = TYPED.of(self.queued.owners)
        if keys:
            environment[ON_STDIN] = "1"
        with (self.folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE if keys else subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, env=environment,
            )  # fmt: skip
        if process.stdin is not None:
            # a process that has ended before it read them is found so below
            with suppress(OSError), process.stdin as stdin:
                stdin.write(written_for_a_job(keys))
        while process.poll() is None:
            if self._stop.wait(0.1):
                _stop_process(process)
        status = read_status(self.folder) or JobStatus()
        if self._stop.is_set() and status.state != "done":
            write_ending(self.folder, self._why)
        elif status.active:  # the process ended without saying how
            disk = error_of(process.returncode)
            said = f"the process ended with code {process.returncode} and said nothing more"
            self.fail(disk_words(disk) if disk else said)

    def fail(self, error: str) -> None:
        """Write into `status.json` that the job failed; where that cannot be written, `unwritten` holds it."""
        status = read_status(self.folder) or JobStatus()
        self.unwritten = replace(status, state="failed", message="", error=error, eta=None)
        write_status(self.folder, self.unwritten)
        self.unwritten = None


def _stop_process(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_KILL_AFTER)
    except subprocess.TimeoutExpired:  # in the middle of a long matrix product: nothing finished is lost
        process.kill()
        process.wait()
