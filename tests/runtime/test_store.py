"""The store: found again by content, damaged entries computed again, and kept within a budget."""

import logging
import os
import time

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.runtime.array_file import Layout
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


def arrays(store, kind="features", key="a" * 40, rows=100):
    """Write an array file of `rows` kibibytes."""
    file = store.arrays(kind, key, Layout(rows, 50, {"a": (256,)}))
    for number in range(file.layout.chunks):
        if number not in file.finished:
            start, stop = file.layout.span(number)
            file.write(number, a=np.ones((stop - start, 256), np.float32))
    return file


def test_array_files_are_entries_like_any_other():
    store = Store()
    store.call(drawn, 500, 0)
    file = arrays(store)
    (large, small) = store.entries()
    assert (large.function, large.path) == ("features", file.folder)
    assert large.size == sum(part.stat().st_size for part in file.folder.iterdir()) > 100 * 1024
    assert small.function.endswith("drawn")
    # what stands beside them is no entry
    (store.arrays_root / "stray.txt").write_text("")
    (store.arrays_root / "features" / "stray.txt").write_text("")
    assert len(store.entries()) == 2


def test_array_files_are_found_again_by_kind_and_key():
    arrays(Store())
    layout = Layout(100, 50, {"a": (256,)})
    assert set(Store().arrays("features", "a" * 40, layout).finished) == {0, 1}
    assert not Store().arrays("features", "b" * 40, layout).finished
    assert not Store().arrays("others", "a" * 40, layout).finished


def test_clear_deletes_array_files_and_maps_in_use_stay_readable():
    store = Store()
    found = arrays(store).read()["a"]
    store.clear()
    assert store.entries() == []
    assert not store.arrays_root.exists()
    assert float(found.sum()) == 100 * 256
    assert set(arrays(store).finished) == {0, 1}


def test_shrink_drops_array_files_and_chunks_by_their_last_use():
    store = Store()
    now = time.time()
    for age, key in ((300, "a" * 40), (100, "b" * 40)):
        file = arrays(store, key=key)
        os.utime(file.folder, (now - age, now - age))
    store.call(drawn, 5_000, 0)
    (chunk,) = output_files(store)
    os.utime(chunk, (now - 200, now - 200))
    sizes = {entry.path.name: entry.size for entry in store.entries()}
    total = sum(sizes.values())
    store.shrink(budget=total)
    assert len(store.entries()) == 3
    store.shrink(budget=total - 1)
    assert {entry.path.name for entry in store.entries()} == {"b" * 40, chunk.parent.name}
    store.shrink(budget=sizes["b" * 40])
    assert [entry.path.name for entry in store.entries()] == ["b" * 40]
    store.shrink(budget=0)
    assert [entry.path.name for entry in store.entries()] == ["b" * 40]  # what was used last stays, however large


def test_opening_an_array_file_keeps_it_from_being_dropped_first():
    store = Store()
    now = time.time()
    for age, key in ((300, "a" * 40), (100, "b" * 40)):
        file = arrays(store, key=key)
        os.utime(file.folder, (now - age, now - age))
    arrays(Store(), key="a" * 40)
    store.shrink(budget=store.entries()[0].size)
    assert [entry.path.name for entry in store.entries()] == ["a" * 40]


def test_arrays_that_are_emptied_while_they_are_written_are_refused_in_words_and_written_again():
    layout = Layout(4, 2, {"a": ()})
    file = Store().arrays("features", "a" * 40, layout)
    file.write(0, a=np.ones(2, np.float32))
    Store().clear()
    with pytest.raises(InputError, match="gone"):
        file.write(1, a=np.ones(2, np.float32))
    again = Store().arrays("features", "a" * 40, layout)
    again.write(0, a=np.ones(2, np.float32))
    assert set(again.finished) == {0}


def test_shrinking_leaves_what_is_being_written():
    file = Store().arrays("features", "a" * 40, Layout(4, 2, {"a": ()}))
    file.write(0, a=np.ones(2, np.float32))
    Store().shrink(0)
    file.write(1, a=np.ones(2, np.float32))
    assert set(file.finished) == {0, 1}


def test_chunks_of_array_files_are_counted():
    store = Store()
    for reused in (True, True, False):
        store.count(reused=reused)
    assert (store.computed, store.reused) == (1, 2)


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
