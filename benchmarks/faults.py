"""What is lost when things are killed: job, worker, server and scheduler at random moments, and a disk that fails.

A dozen networks are retrained by a job of a real server; in the middle of it something is killed by SIGKILL, the disk
fills up, may only be read, or is emptied. Then the job is started again, by a new server where the old one is gone.
Counted are chunks that were finished and computed again, results that are not bit for bit those of a run that nobody
disturbed, and times when the page did not say what had happened.

    .venv/bin/python benchmarks/faults.py           # 20 moments of each kind, about an hour
    .venv/bin/python benchmarks/faults.py --moments 2
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from machine import RESULTS, publish
from websocket_client import Visitor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "runtime"))
from app_server import Server
from dask_processes import dask_processes

from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.job import JobStatus, read_status
from kernelsm.workspace.tables import TABLES

SUBSETS = 12
SETTINGS = RunSettings("digits", "retraining", subsets=SUBSETS)
LINK = f"run=digits&estimator=retraining&subsets={SUBSETS}"
WITHIN = 180.0
SAID = ("The job failed", "Interrupted", "cannot be used", "Finished in")


@dataclass
class Count:
    """What happened at all moments of one kind of fault."""

    moments: int = 0
    chunks_kept: int = 0
    chunks_lost: int = 0
    other_bits: int = 0
    unsaid: int = 0
    half_written: int = 0
    notes: list[str] = field(default_factory=list)


class Bench:
    """One server with a cache of its own, and a visitor who starts the job."""

    def __init__(self, cache: Path, **environment: str) -> None:
        self.cache, self.environment = cache, environment
        self.server = Server(cache)
        self.key = SETTINGS.job().key

    def begin(self) -> None:
        """Start the server."""
        with _environment(self.environment):
            self.server.start()

    def end(self) -> None:
        """End the server."""
        assert self.server.process is not None
        self.server.process.terminate()
        self.server.process.wait()

    def press(self) -> list[str]:
        """Open the page, start the job, and return what the page says."""
        return self._visit(start=True)

    def look(self) -> list[str]:
        """Return what the page says."""
        return self._visit(start=False)

    def status(self) -> JobStatus:
        """Newest status on disk."""
        return read_status(self.cache / "jobs" / self.key) or JobStatus()

    def processes(self) -> list[int]:
        """The job's process, then its workers."""
        found = []
        for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
            with suppress(OSError):
                environment = (process / "environ").read_bytes().split(b"\0")
                command = (process / "cmdline").read_bytes().split(b"\0")
                if f"KERNELSM_CACHE={self.cache}".encode() in environment and b"streamlit" not in command:
                    found.append(int(process.name))
        return found

    def kept(self) -> int:
        """Chunks of retraining that can be read."""
        count = 0
        for file in self.cache.glob("store/retraining.v*/*/value.pkl"):
            with suppress(Exception):
                joblib.load(file)
                count += 1
        return count

    def _visit(self, *, start: bool) -> list[str]:
        async def visit() -> list[str]:
            visitor = Visitor(self.server.url, LINK, "gradients")
            await visitor.open()
            if start:
                await visitor.press("job_start")
            await visitor.leave()
            return visitor.texts

        return asyncio.run(visit())


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + WITHIN
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("waited in vain")
        time.sleep(0.02)


def undisturbed(cache: Path) -> tuple[Any, float]:
    """Values of a run that nobody disturbs, and its seconds."""
    bench = Bench(cache)
    bench.begin()
    try:
        start = time.monotonic()
        bench.press()
        wait_for(lambda: not bench.status().active)
        took = time.monotonic() - start
        result = bench.status().result
        assert result is not None
        return TABLES.load(result["run"], cache).values, took
    finally:
        bench.end()


def trial(bench: Bench, moment: float, harm: Callable[[Bench], Callable[[], None]], truth: Any, count: Count) -> None:
    """Start the job, do harm at a moment, mend it, start the job again and count."""
    bench.begin()
    try:
        bench.press()
        time.sleep(moment)
        ended = bench.status().state == "done"
        mend = harm(bench)
        wait_for(lambda: not _is_there(bench))
        kept = bench.kept()
        mend()
        time.sleep(0.5)  # the server sees that the process has ended
        said = bench.look()
        # of a job that had ended, and every trace of which was deleted, there is nothing to say: it can be started
        gone = ended and bench.status().state != "done"
        if not gone and not any(word in text for text in said for word in SAID):
            count.unsaid += 1
            count.notes.append(f"at {moment:.2f} s nothing was said but: {' | '.join(said)[:400]}")
        count.half_written += len(list(bench.cache.rglob("*.part")))
        if bench.status().state != "done":
            bench.press()
            wait_for(lambda: bench.status().state in ("done", "failed"))
            status = bench.status()
            count.chunks_lost += max(0, kept - status.reused)
            if status.state != "done":
                count.notes.append(f"at {moment:.2f} s: {status.state}, {status.error}")
        count.chunks_kept += kept
        result = bench.status().result
        values = TABLES.load(result["run"], bench.cache).values if result else None
        count.other_bits += values is None or not np.array_equal(values, truth)
        count.moments += 1
    finally:
        bench.end()


def _is_there(bench: Bench) -> bool:
    """Whether a process of the job is still there."""
    return bool(bench.processes())


def kill_job(bench: Bench) -> Callable[[], None]:
    """Kill the job's process."""
    for process in bench.processes()[:1]:
        os.kill(process, signal.SIGKILL)
    return lambda: None


def kill_worker(bench: Bench) -> Callable[[], None]:
    """Kill one of the workers, where there is one: the job goes on."""
    for process in bench.processes()[-1:] if len(bench.processes()) > 1 else []:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    wait_for(lambda: not bench.status().active)
    return lambda: None


def kill_server(bench: Bench) -> Callable[[], None]:
    """Kill the server; another takes its place."""
    assert bench.server.process is not None
    bench.server.process.kill()
    bench.server.process.wait()
    bench.server.process = None
    wait_for(lambda: not _is_there(bench))
    return bench.begin


def kill_scheduler(scheduler: subprocess.Popen[bytes]) -> Callable[[Bench], Callable[[], None]]:
    """Kill the scheduler of the cluster; afterwards a server without one goes on."""

    def kill(bench: Bench) -> Callable[[], None]:
        scheduler.kill()
        wait_for(lambda: not _is_there(bench))
        return lambda: again_without(bench)

    def again_without(bench: Bench) -> None:
        bench.end()
        bench.environment = {}
        bench.begin()

    return kill


def fill_disk(bench: Bench) -> Callable[[], None]:
    """Fill the disk of the cache."""
    filling = bench.cache / "filling"
    with suppress(OSError), filling.open("wb", buffering=0) as file:
        while True:
            file.write(b"0" * 4096)
    wait_for(lambda: not _is_there(bench))
    return lambda: filling.unlink(missing_ok=True)


def only_read(bench: Bench) -> Callable[[], None]:
    """Let nothing in the cache be made, renamed or deleted; a disk with open files cannot be made read-only."""
    folders = [str(path) for path in (bench.cache, *bench.cache.rglob("*")) if path.is_dir()]
    subprocess.run(["chattr", "+i", *folders], check=True)
    try:
        wait_for(lambda: not _is_there(bench))
    finally:
        subprocess.run(["chattr", "-i", *folders], check=True)
    return lambda: None


def empty_cache(bench: Bench) -> Callable[[], None]:
    """Delete everything in the cache: what was finished is gone with it, and nothing else."""
    for path in bench.cache.iterdir():
        if path != bench.server.log:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return lambda: None


def _mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True)


@contextmanager
def plain_folder(folder: Path) -> Iterator[Path]:
    """A folder for one cache."""
    folder.mkdir()
    yield folder


@contextmanager
def own_disk(folder: Path) -> Iterator[Path]:
    """A small disk for one cache."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def main() -> None:
    """Do all the harm, count, and publish; kinds of harm that are not asked for stay as they were measured before."""
    killed = {"job": kill_job, "worker": kill_worker, "server": kill_server}
    failing = {"full disk": fill_disk, "no writing": only_read, "deleted cache": empty_cache}
    kinds = (*killed, "scheduler", *failing)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--disk-moments", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=kinds, default=kinds)
    options = parser.parse_args()
    chance = random.Random(0)
    before = RESULTS / "faults.json"
    found = json.loads(before.read_text()) if before.exists() and options.only != kinds else {}
    with tempfile.TemporaryDirectory() as made:
        home = Path(made)
        (home / "truth").mkdir()
        truth, took = undisturbed(home / "truth")
        for name in options.only:
            count = Count()
            for number in range(options.disk_moments if name in failing else options.moments):
                moment, folder = chance.uniform(0.1, took), home / f"{name}{number}"
                with ExitStack() as held:
                    if name == "full disk":
                        cache = held.enter_context(own_disk(folder))
                    else:
                        cache = held.enter_context(plain_folder(folder))
                    if name == "scheduler":
                        dask = home / f"dask{number}"
                        dask.mkdir()
                        processes = held.enter_context(dask_processes(dask, workers=2))
                        bench = Bench(cache, KERNELSM_SCHEDULER=processes.address)
                        trial(bench, moment, kill_scheduler(processes.scheduler), truth, count)
                    else:
                        trial(Bench(cache), moment, {**killed, **failing}[name], truth, count)
                shutil.rmtree(folder, ignore_errors=True)
            print(name, count, file=sys.stderr, flush=True)
            found |= {"subsets": SUBSETS, "undisturbed_s": took, name: vars(count)}
            publish("faults", found)


if __name__ == "__main__":
    main()
