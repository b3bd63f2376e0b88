"""What goes by itself: what nobody opened for long, the oldest where room runs out, and what was left unfinished."""

import os
import time

import numpy as np
import pytest

from kernelsm import InputError, Outcomes, bernoulli_masks
from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.workspace.holders import hold
from kernelsm.workspace.housekeeping import bounds, tidy
from kernelsm.workspace.kept import KeptItem
from kernelsm.workspace.tables import TABLES, save_run
from kernelsm.workspace.uploads import is_uploaded, keep_upload

DAY = 24 * 3600
OWNER = "a" * 32


def table(seed, rows=40):
    masks = bernoulli_masks(5, rows, seed=seed)
    return save_run(Outcomes(masks, np.random.default_rng(seed).normal(size=(rows, 2))))


def age(root, days, *keys):
    """Let everything whose path names one of these keys be so old."""
    then = time.time() - days * DAY
    for path in sorted(root.rglob("*"), reverse=True):
        if any(key in path.as_posix() for key in keys):
            os.utime(path, (then, then))


def test_what_nobody_opened_for_long_goes_and_the_rest_stays(cache_folder):
    old, opened, young = table(1), table(2), table(3)
    age(cache_folder, 91, old, opened)
    hold(KeptItem(TABLES, opened), OWNER, "viewer")
    assert [item.key for item in tidy()] == [old]
    assert [TABLES.is_here(key) for key in (old, opened, young)] == [False, True, True]
    assert tidy() == []


def test_the_longest_unopened_go_first_where_room_runs_out_and_today_s_never(cache_folder, monkeypatch):
    monkeypatch.setenv("KERNELSM_KEEP_MEGABYTES", "1")
    keys = [table(seed, rows=19_000) for seed in range(4)]
    sizes = [TABLES.size(key) for key in keys]
    assert sum(sizes[:2]) < 2**20 < sum(sizes)
    assert tidy() == []  # all of today
    for days, key in zip((5, 9, 3, 7), keys, strict=True):
        age(cache_folder, days, key)
    gone = [item.key for item in tidy()]
    assert gone == [keys[1], keys[3]][: len(gone)]
    assert gone
    assert sum(TABLES.size(key) for key in keys) <= 2**20


def test_old_jobs_and_what_killed_writers_left_go(cache_folder):
    jobs = {name: cache_folder / "jobs" / name for name in ("a" * 40, "b" * 40)}
    for folder in jobs.values():
        folder.mkdir(parents=True)
        (folder / "status.json").write_text("{}")
    left = [cache_folder / "tables" / f"x.{ending}.part" for ending in ("old", "new")]
    left[0].parent.mkdir(exist_ok=True)
    for file in left:
        file.write_bytes(b"half")
    half_folder = cache_folder / "projects" / "y.part"
    half_folder.mkdir(parents=True)
    (half_folder / "weights").write_bytes(b"half")
    age(cache_folder, 2, "x.old.part", "y.part")
    age(cache_folder, 91, "a" * 40)
    tidy()
    assert [folder.exists() for folder in jobs.values()] == [False, True]
    assert [file.exists() for file in left] == [False, True]
    assert not half_folder.exists()


def test_chunks_beyond_their_budget_go(monkeypatch):
    monkeypatch.setenv("KERNELSM_CHUNK_MEGABYTES", "1")
    store, kind = Store(), ChunkKind("noise")
    for seed in range(3):
        store.chunk(kind, key=(seed,), compute=lambda: os.urandom(700_000))
        os.utime(store.entries()[0].path, (seed, seed))
    tidy()
    assert len(store.entries()) == 1


def test_uploads_of_all_visitors_are_bounded(monkeypatch, cache_folder):
    monkeypatch.setenv("KERNELSM_UPLOAD_MEGABYTES", "1")
    first = keep_upload(os.urandom(600_000), "x.csv")
    with pytest.raises(InputError, match=r"no room for 0\.6 MiB beside 1 MiB.*at most 1 MiB of all visitors"):
        keep_upload(os.urandom(600_000), "x.csv")
    assert is_uploaded(first)
    age(cache_folder, 0.1, first)  # no job waits for it any more
    second = keep_upload(os.urandom(600_000), "x.csv")
    assert not is_uploaded(first)
    assert is_uploaded(second)


@pytest.mark.parametrize("name", ["KEEP_DAYS", "KEEP_MEGABYTES", "SESSION_MEGABYTES"])
def test_a_wrong_bound_is_named(monkeypatch, name):
    monkeypatch.setenv(f"KERNELSM_{name}", "much")
    with pytest.raises(InputError, match=f"KERNELSM_{name}"):
        bounds()
