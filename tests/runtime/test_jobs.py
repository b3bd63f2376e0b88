"""Jobs in real processes: finished, cancelled, queued, failed, resumed."""

import json
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.job import JobSpec, JobStatus, read_status, write_status
from kernelsm.runtime.jobs import JobRegistry
from kernelsm.workspace.tables import TABLES

# subsets of the long work, a chunk each: far more than any machine does while a test looks at it
CHUNKS = 5000
PLANTED = RunSettings("planted", "game", subsets=20).job()


def long_work(seed=0):
    """Work that no test waits for: a retraining for each subset."""
    return RunSettings("digits", "retraining", subsets=CHUNKS, seed=seed).job()


def beginning(count):
    """The first subsets of the long work as work of its own, which has an end."""
    masks = RunSettings("digits", "retraining", subsets=count).masks()
    chosen = tuple("".join("01"[int(inside)] for inside in mask) for mask in masks)
    return RunSettings("digits", "retraining", chosen=chosen).job()


@pytest.fixture
def registries():
    """Return a function that makes registries whose jobs are stopped at the end."""
    made = []

    def make(**arguments):
        made.append(JobRegistry(**arguments))
        return made[-1]

    yield make
    for registry in made:
        keys = [job.key for job in registry.jobs()]
        for key in keys:
            registry.end(key)
        for key in keys:
            registry.wait(key, timeout=10)


@pytest.fixture
def registry(registries):
    return registries()


def wait_until(condition, timeout=60.0):
    """Wait for a condition and return how long it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < timeout, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - start


def alive(pid):
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def processes_of(folder):
    """Job processes at work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder).encode() in arguments:
            found.append(int(process.name))
    return found


def chunks_on_disk(registry):
    """How many retrainings are kept."""
    return len(list(registry.root.parent.glob("store/retraining.v*/*/value.pkl")))


def test_a_finished_job_leaves_a_run_that_can_be_loaded(registry):
    key = registry.start(PLANTED)
    status = registry.wait(key)
    assert (status.state, status.done, status.total, status.error) == ("done", 1, 1, "")
    outcomes = TABLES.load(status.result["run"])
    settings = RunSettings("planted", "game", subsets=20)
    assert (outcomes.masks == settings.masks()).all()
    assert outcomes.meta["computed_from"] == "planted"
    assert not alive(status.pid)
    # what it says is on disk: another server sees the same
    assert JobRegistry().status(key) == status


def test_cancelled_work_is_resumed_and_finished_work_is_not_done_again(registry):
    key = registry.start(long_work())
    wait_until(lambda: registry.status(key).message.startswith("retraining: 2"))
    pid = registry.status(key).pid
    registry.end(key)
    stopped_after = wait_until(lambda: not registry.status(key).active and not alive(pid))
    assert stopped_after < 10.0
    cancelled = registry.wait(key)
    assert cancelled.state == "cancelled"
    assert cancelled.result is None
    assert "kept" in cancelled.message
    kept = chunks_on_disk(registry)
    assert 2 <= cancelled.computed <= kept <= cancelled.computed + 1  # the newest may have been kept and not yet told

    registry.start(long_work())
    wait_until(lambda: registry.status(key).computed or not registry.status(key).active)
    registry.end(key)
    resumed = registry.wait(key)
    assert (resumed.state, resumed.error) == ("cancelled", "")
    assert resumed.reused == kept
    assert resumed.computed >= 1

    # work that has an end finds the same chunks, and started again all of its own
    kept = chunks_on_disk(registry)
    shorter = beginning(kept + 2)
    finished = registry.wait(registry.start(shorter))
    assert (finished.state, finished.reused, finished.computed) == ("done", kept, 2)
    again = registry.wait(registry.start(shorter))
    assert (again.state, again.reused, again.computed) == ("done", kept + 2, 0)
    assert again.result == finished.result
    assert TABLES.load(again.result["run"]).m == kept + 2


def test_equal_work_is_one_job_and_other_work_another(registries):
    registry = registries(at_once=3)
    key = registry.start(long_work())
    wait_until(lambda: registry.status(key).state == "running")
    pid = registry.status(key).pid
    assert registry.start(RunSettings("digits", "retraining", subsets=CHUNKS).job()) == key
    other = registry.start(long_work(seed=1))
    assert other != key
    wait_until(lambda: registry.status(other).state == "running")
    assert processes_of(registry.folder(key)) == [pid]
    assert registry.status(key).pid == pid != registry.status(other).pid


def test_a_queued_job_waits_its_turn_and_can_be_cancelled(registries):
    registry = registries(at_once=1)
    first = registry.start(long_work())
    wait_until(lambda: registry.status(first).state == "running")
    second, third = registry.start(PLANTED), registry.start(RunSettings("planted", "game", subsets=21).job())
    assert registry.status(second).state == registry.status(third).state == "queued"
    registry.end(second)
    assert wait_until(lambda: registry.status(second).state == "cancelled") < 10.0
    assert registry.status(second).pid == 0
    assert registry.status(first).state == "running"
    # the slot goes to the one that still waits
    registry.end(first)
    assert registry.wait(third).state == "done"
    assert registry.status(second).state == "cancelled"


def test_a_job_started_right_after_its_cancellation_runs(registry):
    key = registry.start(long_work())
    wait_until(lambda: registry.status(key).state == "running")
    registry.end(key)
    registry.start(long_work())
    time.sleep(2.5)  # longer than a cancellation may take
    assert registry.status(key).state in ("queued", "running")


@pytest.mark.parametrize(
    ("work", "arguments", "words"),
    [
        ("kernelsm.pipelines.compute:run", {"source": "planted", "estimator": "game", "subsets": 1}, "3 to 20,000"),
        ("kernelsm.pipelines.compute:run", {"source": "planted", "colour": "blue"}, "colour"),
        ("kernelsm.outcomes.nowhere:run", {}, "nowhere"),
        ("os:system", {"command": "true"}, "function of kernelsm"),
    ],
)
def test_a_failing_job_says_why_in_one_line(registry, work, arguments, words):
    status = registry.wait(registry.start(JobSpec(work, arguments)))
    assert status.state == "failed"
    assert words in status.error
    assert "\n" not in status.error
    assert "Traceback" not in status.error
    assert status.result is None


def test_a_killed_process_is_reported_and_the_next_job_runs(registries):
    registry = registries(at_once=1)
    key = registry.start(long_work())
    wait_until(lambda: registry.status(key).state == "running")
    os.kill(registry.status(key).pid, signal.SIGKILL)
    status = registry.wait(key)
    assert status.state == "failed"
    assert "-9" in status.error
    assert registry.wait(registry.start(PLANTED)).state == "done"


def test_an_unknown_job_has_no_status_and_no_log(registry):
    assert registry.status("0" * 40) is None
    assert registry.log("0" * 40) == ""
    registry.end("0" * 40)  # and cancelling it does nothing


@pytest.mark.parametrize(
    "damage", ["", "{", "null", "[1]", '{"stat', '{"colour": 1}', '{"state": "asleep"}', "\udc80"]
)
def test_a_damaged_status_is_interrupted_and_starting_again_mends_it(registry, damage):
    folder = registry.folder(PLANTED.key)
    folder.mkdir(parents=True)
    (folder / "status.json").write_bytes(damage.encode(errors="surrogateescape"))
    status = registry.status(PLANTED.key)
    assert status.state == "interrupted"
    assert "damaged" in status.error


def test_starting_again_after_damage_or_interruption_finishes_the_job(registry):
    folder = registry.folder(PLANTED.key)
    folder.mkdir(parents=True)
    # a process of an earlier server that is gone
    write_status(folder, JobStatus(state="running", done=1, total=5, pid=2**22 + 1))
    assert registry.status(PLANTED.key).state == "interrupted"
    assert read_status(folder).state == "running"  # looking changes nothing
    (folder / "status.json").write_text("{")
    status = registry.wait(registry.start(PLANTED))
    assert (status.state, status.error) == ("done", "")
    assert not list(folder.glob("*.part"))
    assert json.loads((folder / "spec.json").read_text())["arguments"]["subsets"] == 20


def test_the_folder_of_a_job_whose_function_stood_elsewhere_does_no_harm(registry):
    before = JobSpec("kernelsm.outcomes.pipeline:run", PLANTED.arguments)
    folder = registry.folder(before.key)
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(asdict(before)))
    finished = JobStatus(state="done", result={"run": "a" * 40})
    write_status(folder, finished)
    key = registry.start(PLANTED)
    assert key != before.key
    assert registry.wait(key, timeout=60).state == "done"
    assert registry.status(before.key) == finished
    # and if somebody starts it nevertheless, it says what it misses
    assert "kernelsm.outcomes.pipeline" in registry.wait(registry.start(before), timeout=60).error


def test_a_job_that_has_said_how_it_ended_keeps_no_core_from_the_next_one(registry, monkeypatch):
    first = registry.start(long_work())
    second = registry.start(long_work(seed=1))
    wait_until(lambda: all(registry.status(key).state == "running" for key in (first, second)))
    assert registry._want_cores() == 2

    def read(folder):
        status = read_status(folder)
        return JobStatus(state="done") if folder == registry.folder(first) else status

    monkeypatch.setattr("kernelsm.runtime.jobs.read_status", read)  # its process is still there for a moment
    assert registry._want_cores() == 1
