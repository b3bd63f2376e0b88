"""The queue of jobs that all servers of one cache share: who waits for what, whose turn it is, and who is there.

It is one SQLite file in the folder of the cache. It holds only jobs that wait or run; how far they are and how they
ended stands in their folders. Nothing is lost with it: finished chunks are in the store, and a job that is in no
queue is resumed by starting it again. Connections are opened for each step, so a file that was deleted is simply
made anew.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

logger = logging.getLogger(__name__)

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS servers (
    server TEXT PRIMARY KEY, machine TEXT NOT NULL, process TEXT NOT NULL, seen REAL NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    job TEXT PRIMARY KEY, number INTEGER NOT NULL, server TEXT, machine TEXT, ending TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS claims (
    job TEXT NOT NULL, owner TEXT NOT NULL, seen REAL NOT NULL, PRIMARY KEY (job, owner));
CREATE TABLE IF NOT EXISTS turns (owner TEXT PRIMARY KEY, number INTEGER NOT NULL);
"""
_LOST_AFTER = 30.0
_WAIT_FOR_LOCK = 10.0
NOBODY = ""
"""The owner of jobs that no visitor started, such as those of scripts: without a cap, and never dropped."""


@dataclass(frozen=True)
class QueuedJob:
    """A job that waits or runs.

    Parameters
    ----------
    key : str
    number : int
        Jobs are numbered in the order in which they came.
    owners : tuple of str
        Who started it and has not cancelled it.
    server : str
        The server that runs it; "" while it waits.
    machine : str
        The machine of that server.
    ending : str
        Why it is to end; "" while nobody wants that.
    """

    key: str
    number: int
    owners: tuple[str, ...]
    server: str = ""
    machine: str = ""
    ending: str = ""

    @property
    def running(self) -> bool:
        """Whether a server has taken it."""
        return bool(self.server)


def fair_order(jobs: Sequence[QueuedJob], turns: Mapping[str, int]) -> list[QueuedJob]:
    """Return the waiting jobs in the order in which they will be taken.

    The next turn is that of the owner with the fewest jobs at work; among equals, of the one whose last turn was
    longest ago, then of the one who came first. A job that several started is taken at the first turn of any of them.

    Parameters
    ----------
    jobs : sequence of QueuedJob
        All jobs that wait or run.
    turns : mapping of str to int
        Number of the last turn that each owner had.

    Examples
    --------
    >>> jobs = [QueuedJob("a", 1, ("Ann",)), QueuedJob("b", 2, ("Ann",)), QueuedJob("c", 3, ("Bob",))]
    >>> [job.key for job in fair_order(jobs, {})]
    ['a', 'c', 'b']
    """
    at_work = Counter(owner for job in jobs if job.running for owner in job.owners)
    turns = dict(turns)
    waiting = sorted((job for job in jobs if not job.running and not job.ending), key=lambda job: job.number)
    turn, order = max(turns.values(), default=0), []
    while waiting:
        job = min(
            waiting,
            key=lambda job: (
                *min(((at_work[owner], turns.get(owner, 0)) for owner in job.owners), default=(0, 0)),
                job.number,
            ),
        )
        turn += 1
        for owner in job.owners:
            at_work[owner] += 1
            turns[owner] = turn
        waiting.remove(job)
        order.append(job)
    return order


class JobQueue:
    """The queue of one cache, as one server sees it.

    Parameters
    ----------
    root : Path
        Folder of the cache.
    """

    def __init__(self, root: Path) -> None:
        self.file = root / "queue.sqlite"
        self.machine, self.process = _this_machine(), _process(os.getpid())
        self.server = uuid4().hex

    def add(self, key: str, owner: str) -> None:
        """Queue a job for an owner, or join the one that is there."""
        now = time.time()
        with self._change() as file:
            self._say_here(file, now)
            self._sweep(file)
            file.execute(
                "INSERT OR IGNORE INTO jobs (job, number) SELECT ?, coalesce(max(number), 0) + 1 FROM jobs", (key,)
            )
            file.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", (key, owner, now))

    def claimed_by(self, owner: str, *, except_job: str = "") -> int:
        """Return how many jobs of an owner wait or run; changes nothing."""
        return sum(owner in job.owners and not job.ending for job in self.jobs() if job.key != except_job)

    def take(self, at_once: int) -> QueuedJob | None:
        """Take the job whose turn it is, where fewer than `at_once` run on this machine."""
        with self._change() as file:
            self._say_here(file, time.time())
            jobs = self._jobs(file)
            if sum(job.machine == self.machine for job in jobs) >= at_once:
                return None
            turns = dict(file.execute("SELECT owner, number FROM turns"))
            order = fair_order(jobs, turns)
            if not order:
                return None
            job, turn = order[0], max(turns.values(), default=0) + 1
            file.execute(
                "UPDATE jobs SET server = ?, machine = ? WHERE job = ?", (self.server, self.machine, job.key)
            )
            file.executemany("INSERT OR REPLACE INTO turns VALUES (?, ?)", [(owner, turn) for owner in job.owners])
        return job

    def keep(self, jobs: Iterable[QueuedJob]) -> None:
        """Say that this server is there and runs these jobs; enter them again where the file was deleted."""
        now = time.time()
        with self._change() as file:
            self._say_here(file, now)
            for job in jobs:
                file.execute(
                    "INSERT OR IGNORE INTO jobs (job, number, server, machine) VALUES (?, ?, ?, ?)",
                    (job.key, job.number, self.server, self.machine),
                )
                if not file.execute("SELECT 1 FROM claims WHERE job = ?", (job.key,)).fetchone():
                    claims = [(job.key, owner, now) for owner in job.owners]
                    file.executemany("INSERT OR IGNORE INTO claims VALUES (?, ?, ?)", claims)

    def withdraw(self, key: str, owner: str) -> bool:
        """Take back an owner's claim to a job, which ends where nobody else has one.

        Returns False where the owner has none.
        """
        with self._change() as file:
            if not file.execute("DELETE FROM claims WHERE job = ? AND owner = ?", (key, owner)).rowcount:
                return False
            self._end_unclaimed(file, "cancelled")
        return True

    def end(self, key: str, why: str = "cancelled") -> None:
        """Ask for the end of a job, whoever started it."""
        with self._change() as file:
            file.execute("UPDATE jobs SET ending = ? WHERE job = ?", (why, key))

    def remove(self, key: str) -> None:
        """Take a job that has ended out of the queue."""
        with self._change() as file:
            file.execute("DELETE FROM jobs WHERE job = ?", (key,))
            file.execute("DELETE FROM claims WHERE job = ?", (key,))

    def saw(self, owners: Iterable[str]) -> None:
        """Say that these owners are there."""
        now = time.time()
        with self._change() as file:
            file.executemany("UPDATE claims SET seen = ? WHERE owner = ?", [(now, owner) for owner in owners])

    def drop_unwatched(self, seconds: float) -> None:
        """Ask for the end of jobs of whose owners none was there for so long."""
        with self._change() as file:
            file.execute("DELETE FROM claims WHERE owner != ? AND seen < ?", (NOBODY, time.time() - seconds))
            self._end_unclaimed(file, "dropped")

    def sweep(self) -> None:
        """Take out jobs that servers ran which are gone."""
        with self._change() as file:
            self._sweep(file)

    def jobs(self) -> list[QueuedJob]:
        """Return all jobs that wait or run, without those of servers that are gone; changes nothing."""
        with self._read() as file:
            return self._jobs(file) if file else []

    def waiting(self) -> list[QueuedJob]:
        """Return the jobs that wait, in the order in which they will be taken; changes nothing."""
        with self._read() as file:
            return fair_order(self._jobs(file), dict(file.execute("SELECT owner, number FROM turns"))) if file else []

    def find(self, key: str) -> QueuedJob | None:
        """Return a job where it waits or runs; changes nothing."""
        return next((job for job in self.jobs() if job.key == key), None)

    def _jobs(self, file: sqlite3.Connection) -> list[QueuedJob]:
        now = time.time()
        there = {
            server
            for server, *about in file.execute("SELECT server, machine, process, seen FROM servers")
            if self._is_there(*about, now=now)
        }
        owners: dict[str, list[str]] = {}
        for key, owner in file.execute("SELECT job, owner FROM claims ORDER BY owner"):
            owners.setdefault(key, []).append(owner)
        rows = file.execute("SELECT job, number, server, machine, ending FROM jobs ORDER BY number")
        return [
            QueuedJob(key, number, tuple(owners.get(key, ())), server or "", machine or "", ending)
            for key, number, server, machine, ending in rows
            if server is None or server in there
        ]

    def _is_there(self, machine: str, process: str, seen: float, *, now: float) -> bool:
        """Whether a server is there: by its process on this machine, by its last sign of life on any other."""
        if machine == self.machine:
            return process == self.process or _process(int(process.partition(":")[0])) == process
        return now - seen < _LOST_AFTER

    def _sweep(self, file: sqlite3.Connection) -> None:
        now = time.time()
        servers = file.execute("SELECT server, machine, process, seen FROM servers").fetchall()
        gone = [(server,) for server, *about in servers if not self._is_there(*about, now=now)]
        file.executemany("DELETE FROM jobs WHERE server = ?", gone)
        file.executemany("DELETE FROM servers WHERE server = ?", gone)
        file.execute("DELETE FROM claims WHERE job NOT IN (SELECT job FROM jobs)")
        if not file.execute("SELECT 1 FROM jobs").fetchone():
            file.execute("DELETE FROM turns")

    def _say_here(self, file: sqlite3.Connection, now: float) -> None:
        here = (self.server, self.machine, self.process, now)
        file.execute("INSERT OR REPLACE INTO servers VALUES (?, ?, ?, ?)", here)

    @staticmethod
    def _end_unclaimed(file: sqlite3.Connection, why: str) -> None:
        file.execute("UPDATE jobs SET ending = ? WHERE ending = '' AND job NOT IN (SELECT job FROM claims)", (why,))

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Open the file for a step that happens whole or not at all, after those of all others."""
        with _as_os_error("written"):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            file = sqlite3.connect(self.file, timeout=_WAIT_FOR_LOCK, isolation_level=None)
            try:
                self._begin(file)
            except sqlite3.DatabaseError as error:
                file.close()
                if error.sqlite_errorcode not in _DAMAGED:
                    raise
                logger.warning("the queue of jobs was damaged and is made anew: %s", error)
                self.file.unlink(missing_ok=True)
                file = sqlite3.connect(self.file, timeout=_WAIT_FOR_LOCK, isolation_level=None)
                self._begin(file)
            with closing(file):
                yield file
                file.execute("COMMIT")

    @staticmethod
    def _begin(file: sqlite3.Connection) -> None:
        # nothing depends on it after a power cut, and waiting for the disk would hold up every page; a journal beside
        # it would need room on a disk that is full
        file.execute("PRAGMA synchronous = OFF")
        file.execute("PRAGMA journal_mode = MEMORY")
        file.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";"):
            file.execute(statement)

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection | None]:
        """Open the file to look at it; None where there is none."""
        if not self.file.exists():
            yield None
            return
        with (
            _as_os_error("read"),
            closing(
                sqlite3.connect(f"{self.file.resolve().as_uri()}?mode=ro", timeout=_WAIT_FOR_LOCK, uri=True)
            ) as file,
        ):
            try:
                tables = file.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
            except sqlite3.DatabaseError as error:
                # deleted just now, or damaged: the next change makes it anew
                if error.sqlite_errorcode not in (*_DAMAGED, sqlite3.SQLITE_CANTOPEN):
                    raise
                tables = 0
            yield file if tables else None


@contextmanager
def _as_os_error(what: str) -> Iterator[None]:
    """Raise what SQLite says of the disk as the error of the disk that it is."""
    try:
        yield
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        raise OSError(errno.ENOSPC if full else errno.EIO, f"the queue of jobs cannot be {what}: {error}") from error


def _this_machine() -> str:
    """Name of this machine, or of this container: processes can be looked for within it."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}".strip()


def _process(pid: int) -> str:
    """A process, told from a later one of the same number by when it began; "" where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return f"{pid}:" if _answers(pid) else ""
    return "" if fields[0] == "Z" else f"{pid}:{fields[19]}"


def _answers(pid: int) -> bool:
    """Whether there is such a process, where there is no /proc to ask."""
    if Path("/proc/self/stat").exists():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
