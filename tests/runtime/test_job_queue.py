"""The queue that all servers of a cache share: turns, claims, who is gone, and files that are."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.job import read_status
from kernelsm.runtime.job_queue import NOBODY, JobQueue, QueuedJob, fair_order
from kernelsm.runtime.jobs import JobRegistry, Place

ANN, BOB, CAT = "a" * 32, "b" * 32, "c" * 32
CHUNKS = 5000


def long_work(seed):
    """Work that no test waits for: a retraining for each subset."""
    return RunSettings("digits", "retraining", subsets=CHUNKS, seed=seed).job()


def short_work(count):
    return RunSettings("planted", "game", subsets=count).job()


@pytest.fixture
def make():
    """Return a function that makes registries whose jobs are stopped at the end."""
    made = []

    def registry(**arguments):
        made.append(JobRegistry(**arguments))
        return made[-1]

    yield registry
    for one in made:
        for job in one.jobs():
            one.end(job.key)
    for one in made:
        for job in one.jobs():
            one.wait(job.key, timeout=20)


def wait_until(condition, timeout=60.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def snapshot(folder):
    """Content and times of all files."""
    return {
        path: (path.stat().st_mtime_ns, hashlib.sha1(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_owners_take_turns_however_many_jobs_one_of_them_queues():
    jobs = [QueuedJob(f"ann {number}", number, (ANN,)) for number in range(20)]
    jobs += [QueuedJob("bob", 20, (BOB,)), QueuedJob("cat", 21, (CAT,))]
    assert [job.key for job in fair_order(jobs, {})][:4] == ["ann 0", "bob", "cat", "ann 1"]
    # whose job runs waits for those of whom none does, and so does who had the last turn
    running = [QueuedJob("ann x", 0, (ANN,), server="s"), *jobs]
    assert [job.key for job in fair_order(running, {})][:2] == ["bob", "cat"]
    assert [job.key for job in fair_order(jobs, {BOB: 7})][:3] == ["ann 0", "cat", "bob"]


def test_a_job_of_several_is_taken_at_the_first_turn_of_any():
    jobs = [QueuedJob("first", 1, (ANN,)), QueuedJob("second", 2, (ANN,)), QueuedJob("shared", 3, (ANN, BOB))]
    assert [job.key for job in fair_order(jobs, {ANN: 1})] == ["shared", "first", "second"]
    assert not fair_order([QueuedJob("ending", 1, (ANN,), ending="cancelled")], {})


def test_all_waiting_jobs_get_a_place_and_are_done(make):
    registry = make(at_once=1)
    first = registry.start(long_work(0), ANN)
    wait_until(lambda: registry.status(first).state == "running")
    more = [registry.start(short_work(count), owner) for count, owner in ((10, ANN), (11, ANN), (12, BOB))]
    assert [registry.place(key) for key in more] == [Place(2, 3, 1), Place(3, 3, 1), Place(1, 3, 1)]
    assert registry.place(first) is None
    registry.end(first)
    assert {registry.wait(key).state for key in more} == {"done"}
    assert not registry.jobs()


def test_one_owner_cannot_fill_the_queue(make):
    registry = make(at_once=1, per_owner=2)
    keys = [registry.start(long_work(seed), ANN) for seed in range(2)]
    with pytest.raises(InputError, match="2 of yours that wait or run; expected at most 2"):
        registry.start(long_work(2), ANN)
    assert registry.status(long_work(2).key) is None
    assert registry.start(long_work(0), ANN) == keys[0]  # his own job again is no further one
    registry.start(long_work(2), BOB)
    registry.cancel(keys[1], ANN)
    wait_until(lambda: registry.status(keys[1]).state == "cancelled")
    registry.start(long_work(3), ANN)


def test_only_an_owner_cancels_and_the_work_of_another_goes_on(make):
    registry = make(at_once=1)
    key = registry.start(long_work(0), ANN)
    wait_until(lambda: registry.status(key).state == "running")
    assert not registry.cancel(key, BOB)
    assert not registry.owns(key, BOB)
    registry.start(long_work(0), BOB)
    assert registry.owns(key, ANN)
    assert registry.cancel(key, ANN)
    time.sleep(0.5)
    assert registry.status(key).state == "running"
    assert registry.cancel(key, BOB)
    assert registry.wait(key, 20).state == "cancelled"
    assert not registry.cancel(key, BOB)


def test_two_servers_share_the_queue_and_cancel_each_others_jobs(make):
    one, other = make(at_once=1), make(at_once=1)
    first = one.start(long_work(0), ANN)
    wait_until(lambda: one.status(first).state == "running")
    second = other.start(short_work(10), BOB)
    time.sleep(0.5)
    assert other.status(second).state == one.status(second).state == "queued"  # one at once, whoever serves it
    assert other.status(first).state == "running"
    assert other.cancel(first, ANN)
    assert other.wait(second).state == "done"
    assert one.status(first).state == "cancelled"


def test_looking_changes_nothing(make):
    registry = make(at_once=1)
    done = registry.start(short_work(10), ANN)
    registry.wait(done)
    wait_until(lambda: registry._dispatcher is None)
    folder = registry.folder(long_work(0).key)
    folder.mkdir()
    (folder / "status.json").write_text(json.dumps({"state": "running", "pid": 2**22 + 1}))
    before = snapshot(registry.root.parent)
    looking = make()
    assert looking.status(folder.name).state == "interrupted"
    assert looking.status(done).state == "done"
    assert looking.status("0" * 40) is None
    assert looking.place(done) is None
    assert not looking.jobs()
    assert not looking.owns(done, ANN)
    assert snapshot(registry.root.parent) == before


def test_what_nobody_watches_is_dropped_and_the_rest_stays(make):
    here = {ANN}
    registry = make(at_once=1, unwatched=1.0, present=lambda: here)
    watched, script = registry.start(long_work(0), ANN), registry.start(short_work(30), NOBODY)
    left = registry.start(short_work(20), BOB)
    wait_until(lambda: registry.status(left).state == "cancelled", timeout=30)
    assert "nobody watched it" in registry.status(left).message
    assert registry.status(watched).state == "running"
    assert registry.status(script).state == "queued"
    here.clear()
    wait_until(lambda: registry.status(watched).state == "cancelled", timeout=30)
    assert "nobody watched it" in registry.status(watched).message
    assert registry.wait(script).state == "done"


@pytest.mark.parametrize("harm", ["damaged", "deleted"])
def test_a_queue_that_is_lost_loses_no_running_job(make, harm):
    registry = make(at_once=1)
    key = registry.start(long_work(0), ANN)
    wait_until(lambda: registry.status(key).computed >= 1)
    file = registry.root.parent / "queue.sqlite"
    file.unlink()
    if harm == "damaged":
        file.write_bytes(b"not a database " * 100)
    # the server says anew what it runs, and the job can still be cancelled
    wait_until(lambda: registry.owns(key, ANN), timeout=30)
    assert registry.status(key).state == "running"
    registry.cancel(key, ANN)
    assert registry.wait(key, 20).state == "cancelled"


def test_jobs_of_a_server_that_was_killed_are_out_of_the_queue(make, cache_folder):
    code = (
        "import sys, time\n"
        "from kernelsm.pipelines.run_settings import RunSettings\n"
        "from kernelsm.runtime.jobs import JobRegistry\n"
        f"registry = JobRegistry(at_once=1)\n"
        f"registry.start(RunSettings('digits', 'retraining', subsets={CHUNKS}).job(), {ANN!r})\n"
        "time.sleep(600)\n"
    )
    home = str(Path(__file__).resolve().parents[2])
    server = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": home})
    try:
        registry = make(at_once=1)
        key = RunSettings("digits", "retraining", subsets=CHUNKS).job().key
        wait_until(lambda: (status := read_status(registry.folder(key))) is not None and status.pid)
        waiting = registry.start(short_work(10), BOB)
        assert registry.place(waiting) == Place(1, 1, 1)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        assert registry.wait(waiting, 30).state == "done"
        assert registry.status(key).state == "interrupted"
        assert not registry.owns(key, ANN)
    finally:
        server.kill()
        server.wait()


def test_servers_of_other_machines_are_told_by_their_sign_of_life(tmp_path, monkeypatch):
    here, there = JobQueue(tmp_path), JobQueue(tmp_path)
    there.machine, there.process = "another machine", "1:1"
    there.add("job", ANN)
    assert there.take(1).key == "job"
    assert here.find("job").running
    assert here.take(1) is None
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 60)
    assert here.find("job") is None
    here.sweep()
    assert not there.jobs()


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
@pytest.mark.parametrize("name", ["JOBS_AT_ONCE", "JOBS_PER_SESSION", "UNWATCHED_MINUTES"])
def test_a_wrong_setting_is_named(monkeypatch, name, text):
    monkeypatch.setenv(f"KERNELSM_{name}", text)
    with pytest.raises(InputError, match=f"environment variable KERNELSM_{name}.*whole number of 1 or more"):
        JobRegistry()
