"""A full disk, one that may only be read, a cache that was deleted: words on every page, and work that goes on."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_harness import open_app, press, texts, turn

from kernelsm.app.shell.job_panel import registry
from kernelsm.pipelines.run_settings import RunSettings
from kernelsm.runtime.store import Store

PAGES = ("data", "gradients", "subsets", "fit", "explore", "decide", "demonstrations", "compare", "paper")
FULL, READ_ONLY = "the disk is full", "the disk may only be read"


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of its own for the cache, of 64 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    monkeypatch.setenv("KERNELSM_CACHE", str(disk / "cache"))
    registry.clear()
    yield disk
    try:
        for job in registry().jobs():
            registry().end(job.key)
            registry().wait(job.key, 30)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Fill the disk to its last block."""
    file = disk / "filling"
    with file.open("wb", buffering=0) as filling:
        try:
            while True:
                filling.write(b"0" * 4096)
        except OSError:
            pass
    return file


def only_read(disk: Path, only: bool = True) -> None:
    subprocess.run(["mount", "-o", f"remount,{'ro' if only else 'rw'}", str(disk)], check=True)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_a_finished_result_is_there_without_a_disk_to_write_to(small_disk, page):
    only_read(small_disk)
    app = open_app(page, run="digits")
    only_read(small_disk, only=False)
    assert app.title
    assert all(READ_ONLY in error.value for error in app.error)


@pytest.mark.parametrize(("harm", "words"), [("full", FULL), ("read only", READ_ONLY)])
def test_a_job_that_cannot_be_kept_says_why_and_is_started_again_afterwards(small_disk, harm, words):
    app = open_app("gradients", run="digits", subsets="8", estimator="retraining")
    filling = fill(small_disk) if harm == "full" else only_read(small_disk)
    press(app, "Recompute")
    assert words in app.error[0].value
    turn(app, "explore")
    assert app.title[0].value == "Explore"
    assert not app.error
    if filling:
        filling.unlink()
    else:
        only_read(small_disk, only=False)
    turn(app, "gradients")
    press(app, "Recompute")
    (job,) = registry().jobs()
    finished = registry().wait(job.key, 120)
    assert (finished.state, finished.error) == ("done", "")


def test_a_disk_that_fills_in_the_middle_of_a_job_loses_nothing_finished(small_disk):
    spec = RunSettings("digits", "retraining", subsets=6).job()
    jobs = registry()
    key = jobs.start(spec)
    while not (status := jobs.status(key)).computed and status.active:
        time.sleep(0.02)  # the job has this core too
    filling = fill(small_disk)
    failed = jobs.wait(key, 120)
    kept = len(list(small_disk.glob("cache/store/retraining.v*/*/value.pkl")))
    if failed.state == "done":
        pytest.skip("the job was faster than the disk was filled")
    assert failed.state == "failed"
    assert FULL in failed.error
    assert kept >= 1
    assert not list(small_disk.rglob("*.part"))
    filling.unlink()
    resumed = jobs.wait(jobs.start(spec), 120)
    assert (resumed.state, resumed.reused) == ("done", kept)


def test_a_cache_that_is_deleted_under_a_job_is_made_anew(own_cache):
    jobs = registry()
    spec = RunSettings("digits", "retraining", subsets=6).job()
    key = jobs.start(spec)
    while not (status := jobs.status(key)).computed and status.active:
        time.sleep(0.02)  # the job has this core too
    shutil.rmtree(own_cache, ignore_errors=True)
    jobs.wait(key, 120)
    app = open_app("explore", run="digits")
    assert app.title[0].value == "Explore"
    assert not app.error
    done = jobs.wait(jobs.start(spec), 120)
    assert done.state == "done"
    assert Store().entries()


def test_a_callback_that_meets_the_disk_tells_on_the_next_page(small_disk):
    app = open_app("gradients", run="digits")
    fill(small_disk)
    press(app, "Recompute")
    assert FULL in app.error[0].value
    app.run()
    assert not app.error
    assert "cannot be used" not in texts(app)
