"""A Dask scheduler and workers as processes of their own, as on a cluster: each can be killed by itself."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

HOME = str(Path(__file__).resolve().parents[2])


class DaskProcesses:
    """A scheduler on this computer and the workers that it was given.

    Attributes
    ----------
    address : str
        Of the scheduler.
    scheduler : Popen
    workers : list of Popen
    """

    def __init__(self, folder, **settings):
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": HOME, **settings}
        where = folder / "scheduler.json"
        protocol = "tls" if "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in settings else "tcp"
        options = ("--host", "127.0.0.1", "--port", "0", "--protocol", protocol, "--no-dashboard")
        options += ("--scheduler-file", str(where))
        self.scheduler = self._start("scheduler", *options, name="scheduler")
        self.address = _written(where)["address"]
        self.workers = []

    def add_worker(self, *options):
        """Start a worker, without the nanny that would start it again."""
        name = f"worker-{len(self.workers)}"
        arguments = (self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory")
        self.workers.append(self._start("worker", *arguments, str(self.folder), *options, name=name))

    def wait_for_workers(self, count):
        """Wait until the scheduler knows so many workers, no more and no fewer."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            end = time.monotonic() + 60
            while len(client.nthreads()) != count:
                assert time.monotonic() < end, f"{len(client.nthreads())} workers instead of {count}"
                time.sleep(0.05)

    def stop(self):
        """End all of them."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def _start(self, kind, *options, name):
        command = [sys.executable, "-m", "dask", kind, *options]
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=self.environment)


def _written(file):
    """The content of a JSON file, once it is there and whole."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(FileNotFoundError, json.JSONDecodeError):
            return json.loads(file.read_text())
        time.sleep(0.05)
    raise AssertionError(f"the scheduler did not start: {(file.parent / 'scheduler.log').read_text()[-2000:]}")


@contextmanager
def dask_processes(folder, workers=2, **settings):
    """A scheduler and some workers, stopped in the end."""
    folder.mkdir(exist_ok=True)
    processes = DaskProcesses(folder, **settings)
    try:
        for _ in range(workers):
            processes.add_worker()
        yield processes
    finally:
        processes.stop()
