"""The store: chunks found by kind and key alone, damaged ones computed again, whole also where processes collide."""

import ast
import enum
import errno
import logging
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest

import kernelsm
from kernelsm import ChunkKind, InputError, Store
from kernelsm.runtime.array_file import Layout
from kernelsm.runtime.store import cache_root, content_hash

DRAWN = ChunkKind("drawn")


def draw(count, seed):
    return np.random.default_rng(seed).normal(size=count)


def drawn(store, count, seed):
    return store.chunk(DRAWN, (count, seed), partial(draw, count, seed))


def never():
    raise AssertionError("a chunk that is there is not computed")


def value_files(store):
    return sorted(store.root.rglob("value.pkl"))


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.name.startswith("kernelsm")]


# --- found again


def test_a_chunk_is_computed_once_and_found_by_equal_content():
    store, numbers = Store(), np.arange(6.0).reshape(2, 3)
    first = store.chunk(DRAWN, (numbers, "a", 0.1, None, {"b": [1, True]}), lambda: numbers * 2)
    again = (np.asfortranarray(numbers), "a", np.float64(0.1), None, {"b": (1, True)})
    np.testing.assert_array_equal(store.chunk(DRAWN, again, never), first)
    assert (store.computed, store.reused) == (1, 1)


@pytest.mark.parametrize("other", [(1, "b"), (1,), (2, "a"), (1.0, "a"), (True, "a"), ("1", "a"), (1, ("a",))])
def test_another_key_is_another_chunk(other):
    store = Store()
    store.chunk(DRAWN, (1, "a"), lambda: 1)
    assert store.chunk(DRAWN, other, lambda: 2) == 2
    assert (store.computed, store.reused) == (2, 0)


def test_arrays_in_keys_count_by_values_shape_and_type():
    store, numbers = Store(), np.arange(4.0)
    for array in (numbers, numbers + 1e-12, numbers.astype(np.float32), numbers.reshape(2, 2)):
        store.chunk(DRAWN, (array,), lambda: 0)
    assert store.computed == 4


def test_a_new_store_finds_what_an_old_one_computed():
    right = drawn(Store(), 3, 2)
    later = Store()
    assert np.array_equal(drawn(later, 3, 2), right)
    assert (later.computed, later.reused) == (0, 1)


def test_a_value_may_be_none():
    store = Store()
    assert [store.chunk(DRAWN, (1,), compute) for compute in (lambda: None, never)] == [None, None]


@pytest.mark.parametrize("other", [ChunkKind("drawn", version=2), ChunkKind("taken")])
def test_another_version_or_name_is_another_chunk(other):
    store = Store()
    store.chunk(DRAWN, (1,), lambda: "old")
    assert store.chunk(other, (1,), lambda: "new") == "new"
    # whoever goes back to the version before finds its chunks again
    assert store.chunk(ChunkKind("drawn", version=1), (1,), never) == "old"


def run_module(folder, name, source):
    """Import a module of a folder in a process of its own and return what it prints."""
    (folder / f"{name}.py").write_text(textwrap.dedent(source))
    home = str(Path(kernelsm.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([home, str(folder)])}
    done = subprocess.run(
        [sys.executable, "-c", f"import {name}"], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_another_process_and_another_function_of_another_module_find_the_chunk(tmp_path):
    before = """
        from kernelsm import ChunkKind, Store

        def one_name(numbers):
            return {"sum": sum(numbers)}

        store = Store()
        print(store.chunk(ChunkKind("sums"), ([1, 2],), lambda: one_name([1, 2])), store.computed, store.reused)
    """
    after = """
        from kernelsm import ChunkKind, Store

        class Adding:
            def another_name(self):
                return "written in another way"

        store = Store()
        print(store.chunk(ChunkKind("sums"), ([1, 2],), Adding().another_name), store.computed, store.reused)
    """
    assert run_module(tmp_path, "before_the_move", before) == "{'sum': 3} 1 0"
    assert run_module(tmp_path, "after_the_move", after) == "{'sum': 3} 0 1"


def test_a_failed_chunk_is_neither_kept_nor_counted():
    store = Store()
    with pytest.raises(ZeroDivisionError):
        store.chunk(DRAWN, (1,), lambda: 1 / 0)
    assert store.entries() == []
    assert store.chunk(DRAWN, (1,), lambda: 5) == 5
    assert (store.computed, store.reused) == (1, 0)


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize("part", [draw, object(), Colour.RED, {1: 2}, b"x", {1, 2}, np.array([None]), [1, (draw,)]])
def test_what_has_no_content_that_the_store_knows_is_refused_as_a_key(part):
    with pytest.raises(TypeError, match="state its content"):
        Store().chunk(DRAWN, ("a", part), never)
    with pytest.raises(TypeError, match="state its content"):
        Store().arrays(DRAWN, (part,), Layout(1, 1, {"a": ()}))


@pytest.mark.parametrize(
    ("name", "version", "place"),
    [
        ("", 1, "name"), ("Drawn", 1, "name"), ("a b", 1, "name"), ("../a", 1, "name"), ("a.v2", 1, "name"),
        ("1a", 1, "name"), ("drawn", 0, "version"), ("drawn", True, "version"), ("drawn", 1.5, "version"),
    ],
)  # fmt: skip
def test_kinds_of_chunks_have_plain_names_and_versions_from_1(name, version, place):
    with pytest.raises(InputError) as caught:
        ChunkKind(name, version=version)
    assert caught.value.place == f"kind of chunk, {place}"


def test_no_two_kinds_of_kernelsm_have_one_name():
    calls = [
        node
        for file in Path(kernelsm.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ChunkKind"
    ]
    names = [call.args[0].value for call in calls]
    assert {"gradex", "retraining", "gradient_features"} < set(names)
    assert len(set(names)) == len(names)


# --- damage


def truncate(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file):
    file.write_bytes(b"")


def overwrite(file):
    file.write_bytes(b"\x93NUMPY" * 100)


def flip_a_byte(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x10
    file.write_bytes(bytes(data))


def flip_the_checksum(file):
    data = bytearray(file.read_bytes())
    data[-1] ^= 0x01
    file.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [truncate, empty, overwrite, flip_a_byte, flip_the_checksum])
def test_a_damaged_chunk_is_named_dropped_and_computed_again(damage, caplog):
    right = drawn(Store(), 3_000, 1)
    (file,) = value_files(Store())
    damage(file)
    store = Store()
    with caplog.at_level(logging.WARNING, logger="kernelsm"):
        found = drawn(store, 3_000, 1)
    assert np.array_equal(found, right)
    assert (store.computed, store.reused) == (1, 0)
    (message,) = warnings_of(caplog)
    assert f"damaged chunk drawn.v1/{file.parent.name}" in message
    # the chunk is whole again
    assert np.array_equal(drawn(store, 3_000, 1), right)
    assert store.reused == 1


def test_a_damaged_chunk_is_dropped_even_where_computing_it_fails():
    store = Store()
    store.chunk(DRAWN, (1,), lambda: 5)
    (file,) = value_files(store)
    truncate(file)
    with pytest.raises(ZeroDivisionError):
        store.chunk(DRAWN, (1,), lambda: 1 / 0)
    assert store.entries() == []


def test_no_single_flipped_bit_goes_unnoticed():
    right = drawn(Store(), 4, 2)
    (file,) = value_files(Store())
    good = file.read_bytes()
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 0x04
        file.write_bytes(bytes(bad))
        assert np.array_equal(drawn(Store(), 4, 2), right), position


def test_a_damaged_or_missing_text_of_the_key_costs_nothing():
    right = drawn(Store(), 10, 3)
    (file,) = value_files(Store())
    store = Store()
    (file.parent / "key.json").write_text("{")
    assert np.array_equal(drawn(store, 10, 3), right)
    (file.parent / "key.json").unlink()
    assert np.array_equal(drawn(store, 10, 3), right)
    assert store.computed == 0


# --- several at once, and what keeps a chunk from being written


def test_two_processes_that_compute_one_chunk_at_once_both_get_it_and_leave_it_whole(tmp_path):
    source = """
        import pathlib, sys, time
        import numpy as np
        from kernelsm import ChunkKind, Store

        here = pathlib.Path(__file__).parent

        def compute():
            (here / f"{__name__}.ready").touch()
            while len(list(here.glob("*.ready"))) < 2:
                time.sleep(0.01)
            return np.arange(200_000.0)

        store = Store()
        print(store.chunk(ChunkKind("ranges"), (1,), compute).sum(), store.computed)
    """
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda name: run_module(tmp_path, name, source), ("first", "second")))
    assert found == [f"{199_999 * 100_000.0} 1"] * 2
    store = Store()
    assert store.chunk(ChunkKind("ranges"), (1,), never).sum() == 199_999 * 100_000.0
    (entry,) = store.entries()
    assert sorted(file.name for file in entry.path.iterdir()) == ["key.json", "value.pkl"]


def test_a_chunk_whose_folder_is_dropped_while_it_is_written_is_written_again(monkeypatch):
    dump, left = joblib.dump, [2]

    def dump_and_clear(value, file, **settings):
        dump(value, file, **settings)
        if left[0]:
            left[0] -= 1
            Store().clear()

    monkeypatch.setattr(joblib, "dump", dump_and_clear)
    right = drawn(Store(), 100, 0)
    assert left == [0]
    store = Store()
    assert np.array_equal(drawn(store, 100, 0), right)
    assert store.reused == 1
    (entry,) = store.entries()
    assert "key.json" in {file.name for file in entry.path.iterdir()}


def test_work_beside_one_who_shrinks_and_clears_all_the_time_gets_every_value_and_warns_of_nothing(caplog):
    begun, ended = time.monotonic(), []

    def work(seed):
        store = Store()
        for turn in range(40):
            assert np.array_equal(drawn(store, 50, (seed + turn) % 5), draw(50, (seed + turn) % 5))
        ended.append(seed)

    def drop():
        while len(ended) < 3 and time.monotonic() < begun + 60:
            Store().shrink(0)
            Store().forget("0" * 40)

    with ThreadPoolExecutor(4) as pool, caplog.at_level(logging.WARNING, logger="kernelsm"):
        for task in [*(pool.submit(work, seed) for seed in range(3)), pool.submit(drop)]:
            task.result()
    assert sorted(ended) == [0, 1, 2]
    assert not [message for message in warnings_of(caplog) if "damaged" in message]


def test_a_full_disk_costs_the_chunk_and_not_the_work(monkeypatch, caplog):
    def full(value, file, **settings):
        Path(file).write_bytes(b"beginning")
        raise OSError(errno.ENOSPC, "no space left")

    store = Store()
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, logger="kernelsm"):
        patch.setattr(joblib, "dump", full)
        assert store.chunk(DRAWN, (1,), lambda: 5) == 5
    (message,) = warnings_of(caplog)
    assert "drawn.v1" in message
    assert "could not be kept" in message
    assert not [file for file in store.root.rglob("*") if file.is_file() and file.name != "key.json"]
    assert store.chunk(DRAWN, (1,), lambda: 6) == 6
    assert store.chunk(DRAWN, (1,), never) == 6


def test_a_write_that_is_interrupted_leaves_no_chunk(monkeypatch):
    def interrupted(value, file, **settings):
        Path(file).write_bytes(b"beginning")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(joblib, "dump", interrupted)
        with pytest.raises(KeyboardInterrupt):
            drawn(Store(), 10, 0)
    store = Store()
    assert not value_files(store)
    assert not list(store.root.rglob("*.part"))
    drawn(store, 10, 0)
    assert store.computed == 1


# --- places and hashes


def test_the_cache_lies_where_the_environment_says(cache_folder):
    assert cache_root() == cache_folder
    drawn(Store(), 3, 0)
    assert value_files(Store())[0].is_relative_to(cache_folder)


def test_content_hashes_see_values_types_and_order_only():
    array = np.arange(6.0).reshape(2, 3)
    assert content_hash(array) == content_hash(array.copy())
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    distinct = [array, array.T, array.astype(np.float32), array + 1e-15, [array], "0", 0, 0.0, None, ("0", 0)]
    assert len({content_hash(thing) for thing in distinct}) == len(distinct)


def test_content_hashes_do_not_tell_a_map_of_a_file_from_an_array(tmp_path):
    array = np.arange(6.0)
    np.save(tmp_path / "a.npy", array)
    assert content_hash(np.load(tmp_path / "a.npy", mmap_mode="r")) == content_hash(array)
