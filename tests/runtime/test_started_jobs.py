"""Lists of started jobs, and what estimates learn from those that ended."""

import os

import pytest

from kernelsm.runtime.job import JobSpec, JobStatus, write_status
from kernelsm.runtime.jobs import JobRegistry
from kernelsm.runtime.started_jobs import MOST_LISTED, StartedJob, StartedJobs, kind_of

ANN, BOB = "a" * 32, "b" * 32


def job(key, began=0.0, kind="outcomes", estimate=10.0):
    return StartedJob(key, f"Outcomes: {key}", "gradients", kind, estimate, began)


def ended(root, key, elapsed, **more):
    write_status(root / "jobs" / key, JobStatus(state="done", elapsed=elapsed, **{"computed": 4, **more}))


def test_each_owner_has_a_list_of_the_newest_jobs(tmp_path):
    lists = StartedJobs(tmp_path)
    for number in range(MOST_LISTED + 3):
        lists.add(ANN, job(f"{number:02}", began=number))
    lists.add(ANN, job("05", began=99))  # started again
    lists.add(BOB, job("xx"))
    assert [one.key for one in lists.of(ANN)] == ["05", *(f"{n:02}" for n in range(14, 5, -1)), "04", "03"]
    assert [one.key for one in lists.of(BOB)] == ["xx"]
    assert lists.of("c" * 32) == []


def test_a_damaged_entry_is_left_out(tmp_path):
    lists = StartedJobs(tmp_path)
    lists.add(ANN, job("k"))
    (tmp_path / "started" / ANN / "z.json").write_text("{")
    (tmp_path / "started" / ANN / "y.json").write_text('{"key": 3}')
    assert [one.key for one in lists.of(ANN)] == ["k"]


def test_jobs_of_one_kind_are_expected_to_take_as_the_last_ones_did(tmp_path):
    lists = StartedJobs(tmp_path)
    assert lists.pace("outcomes") == 1.0
    for number, (owner, elapsed) in enumerate([(ANN, 20.0), (BOB, 30.0), (ANN, 25.0)]):
        lists.add(owner, job(f"k{number}", began=number))
        ended(tmp_path, f"k{number}", elapsed)
    assert lists.pace("outcomes") == pytest.approx(2.5)
    assert lists.pace("another") == 1.0
    # what was in the cache, took no time, or did not end says nothing
    for key, status in {
        "found": {"elapsed": 90.0, "reused": 2}, "nothing": {"elapsed": 90.0, "computed": 0},
        "short": {"elapsed": 0.1},
    }.items():  # fmt: skip
        lists.add(ANN, job(key, began=9))
        ended(tmp_path, key, **status)
    lists.add(ANN, job("untimed", began=9, estimate=float("inf")))
    ended(tmp_path, "untimed", 90.0)
    lists.add(ANN, job("failed", began=9))
    write_status(tmp_path / "jobs" / "failed", JobStatus(state="failed", elapsed=90.0, computed=1))
    lists.add(ANN, job("gone", began=9))
    assert lists.pace("outcomes") == pytest.approx(2.5)


def test_a_kind_is_the_work_and_what_it_is_done_on():
    digits = JobSpec("kernelsm.pipelines.compute:run", {"source": "digits", "estimator": "gradex", "subsets": 100})
    more = JobSpec("kernelsm.pipelines.compute:run", {"source": "digits", "estimator": "gradex", "subsets": 400})
    retrained = JobSpec("kernelsm.pipelines.compute:run", {"source": "digits", "estimator": "retraining"})
    assert kind_of(digits) == kind_of(more) != kind_of(retrained)


def test_the_clock_of_a_job_goes_on_between_its_reports(tmp_path):
    registry = JobRegistry(tmp_path)
    key = "0" * 40
    write_status(registry.folder(key), JobStatus(state="running", elapsed=3.0, eta=60.0, done=1, total=10))
    registry._queue.add(key, ANN)
    registry._queue.take(1)
    file = registry.folder(key) / "status.json"
    os.utime(file, (file.stat().st_atime, file.stat().st_mtime - 20))
    seen = registry.status(key)
    assert seen.state == "running"
    assert 23.0 <= seen.elapsed < 30.0
    assert 30.0 < seen.eta <= 40.0
    os.utime(file, (file.stat().st_atime, file.stat().st_mtime - 100))
    assert registry.status(key).eta is None  # it takes longer than it said
