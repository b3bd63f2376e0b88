"""The store: found again by content, damaged entries computed again, and kept within a budget."""

import logging
import os
import time

import numpy as np
import pytest

from kernelsm.runtime.store import Store, cache_root, content_hash

calls = []


def scaled(numbers, factor, *, scale_of=None):
    """Stand-in for expensive work; `scale_of` is a heavy argument."""
    calls.append(factor)
    return numbers * factor * (1 if scale_of is None else scale_of["scale"])


def drawn(count, seed):
    return np.random.default_rng(seed).normal(size=count)


@pytest.fixture(autouse=True)
def _no_calls():
    calls.clear()


def output_files(store):
    return sorted(store.root.rglob("output.pkl"))


def test_equal_content_is_found_again_and_other_content_is_not():
    numbers = np.arange(5.0)
    store = Store()
    first = store.call(scaled, numbers, 2.0)
    assert np.array_equal(store.call(scaled, numbers.copy(), 2.0), first)
    assert (store.computed, store.reused, len(calls)) == (1, 1, 1)
    store.call(scaled, numbers + 1e-12, 2.0)
    store.call(scaled, numbers, 3.0)
    assert (store.computed, store.reused, len(calls)) == (3, 1, 3)


def test_a_new_store_finds_what_an_old_one_computed():
    Store().call(scaled, np.arange(3.0), 2.0)
    later = Store()
    assert later.call(scaled, np.arange(3.0), 2.0).tolist() == [0.0, 2.0, 4.0]
    assert (later.computed, later.reused, len(calls)) == (0, 1, 1)


def test_heavy_arguments_are_passed_on_but_are_no_part_of_the_key():
    store = Store()
    first = store.call(scaled, np.ones(2), 3.0, heavy={"scale_of": {"scale": 10}})
    assert first.tolist() == [30.0, 30.0]
    again = store.call(scaled, np.ones(2), 3.0, heavy={"scale_of": {"scale": 99, "never": lambda: None}})
    assert again.tolist() == [30.0, 30.0]
    assert (store.computed, store.reused) == (1, 1)


def test_a_failed_call_is_not_kept():
    store = Store()
    with pytest.raises(TypeError):
        store.call(scaled, "text", 2.5)
    with pytest.raises(TypeError):
        store.call(scaled, "text", 2.5)
    assert len(calls) == 2
    assert not output_files(store)


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
def test_a_damaged_entry_is_named_dropped_and_computed_again(damage, caplog):
    right = Store().call(drawn, 3_000, 1)
    (file,) = output_files(Store())
    damage(file)
    store = Store()
    with caplog.at_level(logging.WARNING, logger="kernelsm"):
        found = store.call(drawn, 3_000, 1)
    assert np.array_equal(found, right)
    assert (store.computed, store.reused) == (1, 0)
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("kernelsm")]
    assert len(messages) == 1
    assert "damaged" in messages[0]
    assert "drawn" in messages[0]
    # the entry is whole again
    assert np.array_equal(store.call(drawn, 3_000, 1), right)
    assert store.reused == 1


def test_no_single_flipped_bit_goes_unnoticed():
    right = Store().call(drawn, 4, 2)
    (file,) = output_files(Store())
    good = file.read_bytes()
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 0x04
        file.write_bytes(bytes(bad))
        assert np.array_equal(Store().call(drawn, 4, 2), right), position


def test_a_damaged_neighbour_file_costs_at_most_a_recomputation():
    right = Store().call(drawn, 10, 3)
    (file,) = output_files(Store())
    for name in ("metadata.json",):
        (file.parent / name).write_text("{")
    assert np.array_equal(Store().call(drawn, 10, 3), right)


def test_entries_lists_every_chunk_largest_first():
    store = Store()
    for count in (10, 5_000, 500):
        store.call(drawn, count, 0)
    entries = store.entries()
    assert len(entries) == 3
    assert all(entry.function.endswith("drawn") for entry in entries)
    assert [entry.size for entry in entries] == sorted((entry.size for entry in entries), reverse=True)
    on_disk = sum(f.stat().st_size for entry in entries for f in entry.path.iterdir())
    assert sum(entry.size for entry in entries) == on_disk
    assert entries[0].size > 8 * 4_000


def test_shrink_drops_the_least_recently_used_first():
    store = Store()
    for seed in range(4):
        store.call(drawn, 2_000, seed)
        _, folder = max((f.stat().st_mtime_ns, f.parent) for f in output_files(store))
        old = time.time() - 1_000 + 100 * seed
        os.utime(folder / "output.pkl", (old, old))
    sizes = [file.stat().st_size for file in output_files(store)]
    store.shrink(budget=2 * max(sizes) + 2_000)
    assert len(output_files(store)) == 2
    fresh = Store()
    for seed in (2, 3):
        fresh.call(drawn, 2_000, seed)
    assert (fresh.computed, fresh.reused) == (0, 2)


def test_clear_leaves_nothing():
    store = Store()
    store.call(drawn, 10, 0)
    store.clear()
    assert not output_files(store)
    assert store.entries() == []
    store.call(drawn, 10, 0)
    assert (store.computed, store.reused) == (2, 0)


def test_the_cache_lies_where_the_environment_says(cache_folder):
    assert cache_root() == cache_folder
    Store().call(drawn, 3, 0)
    assert output_files(Store())[0].is_relative_to(cache_folder)


def test_content_hashes_see_values_types_and_order_only():
    array = np.arange(6.0).reshape(2, 3)
    assert content_hash(array) == content_hash(array.copy())
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    distinct = [array, array.T, array.astype(np.float32), array + 1e-15, [array], "0", 0, 0.0, None, ("0", 0)]
    assert len({content_hash(thing) for thing in distinct}) == len(distinct)


def test_warnings_of_the_work_itself_are_not_swallowed():
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        Store().call(reciprocal, 0.0)


def reciprocal(x):
    return np.float64(1.0) / np.float64(x)
