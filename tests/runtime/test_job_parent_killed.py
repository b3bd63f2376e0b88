"""A server killed by kill -9 takes its jobs along; the next server resumes them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.job import read_status
from kernelsm.runtime.jobs import JobRegistry

# a retraining each, and so many that no machine is done before the job notices; no test waits for all of them
SUBSETS = 5000
SETTINGS = RunSettings("digits", "retraining", subsets=SUBSETS)
SERVER = f"""
import time
from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.jobs import JobRegistry
JobRegistry().start(RunSettings("digits", "retraining", subsets={SUBSETS}).job())
time.sleep(600)
"""


@pytest.fixture
def server(cache_folder):
    """A process that has started a job and does nothing more."""
    home = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], env={**os.environ, "PYTHONPATH": home, "KERNELSM_CACHE": str(cache_folder)}
    )
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def registry(cache_folder, server):
    """The registry of the next server; its job is stopped at the end, however the test ends."""
    registry = JobRegistry(cache_folder)
    yield registry
    key = SETTINGS.job().key
    registry.end(key)
    registry.wait(key, timeout=60)


def test_a_job_ends_with_its_server_and_the_next_one_resumes_it(server, registry, cache_folder):
    key = SETTINGS.job().key
    folder = registry.folder(key)
    _wait_until(lambda: (status := read_status(folder)) and status.computed >= 3 and server.poll() is None)
    pid = read_status(folder).pid

    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    _wait_until(lambda: b"job_process" not in _command(pid), timeout=5)
    left = registry.status(key)
    assert left.state == "interrupted"
    assert left.eta is None
    kept = len(list(cache_folder.glob("store/retraining.v*/*/value.pkl")))
    assert left.computed <= kept <= left.computed + 1  # the newest may have been kept and not yet told

    registry.start(SETTINGS.job())
    _wait_until(lambda: registry.status(key).computed >= 1 or not registry.status(key).active)
    registry.end(key)
    resumed = registry.wait(key, timeout=60)
    assert (resumed.state, resumed.error) == ("cancelled", "")
    assert resumed.reused == kept  # nothing finished was done again
    assert resumed.computed >= 1


def _wait_until(condition, timeout=60):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
