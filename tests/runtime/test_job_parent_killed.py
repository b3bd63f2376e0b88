"""A server killed by kill -9 takes its jobs along; the next server resumes them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.jobs import JobRegistry, read_status

SETTINGS = RunSettings("digits", "retraining", subsets=5)
SERVER = """
import time
from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.jobs import JobRegistry
JobRegistry().start(RunSettings("digits", "retraining", subsets=5).job())
time.sleep(120)
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


def test_a_job_ends_with_its_server_and_the_next_one_resumes_it(server, cache_folder):
    folder = cache_folder / "jobs" / SETTINGS.job().key

    def status():
        return read_status(folder) if folder.exists() else None

    end = time.monotonic() + 60
    while not ((found := status()) and found.computed >= 3):
        assert time.monotonic() < end
        assert server.poll() is None
        time.sleep(0.02)
    assert found.state == "running"

    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    killed = time.monotonic()
    while b"job_process" in _command(found.pid):
        assert time.monotonic() - killed < 2.0
        time.sleep(0.02)

    registry = JobRegistry(cache_folder)
    key = SETTINGS.job().key
    left = registry.status(key)
    assert left.state == "interrupted"
    assert left.eta is None
    registry.start(SETTINGS.job())
    resumed = registry.wait(key, timeout=60)
    assert resumed.state == "done"
    # nothing finished was done again; one more chunk may have been kept than was told
    assert left.computed <= resumed.reused <= left.computed + 1
    assert resumed.reused + resumed.computed == 5  # subsets, a chunk each


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
