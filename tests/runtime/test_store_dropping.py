"""What the store holds and how it is dropped: by last use, by content, all of it; array files and old trees, too."""

import json
import os
import time
from functools import partial

import joblib
import numpy as np
import pytest

from kernelsm import ChunkKind, InputError, Store
from kernelsm.runtime.array_file import Layout
from kernelsm.runtime.store import content_hash

DRAWN = ChunkKind("drawn")
FEATURES = ChunkKind("features")


def draw(count, seed):
    return np.random.default_rng(seed).normal(size=count)


def drawn(store, count, seed):
    return store.chunk(DRAWN, (count, seed), partial(draw, count, seed))


def never():
    raise AssertionError("a chunk that is there is not computed")


def value_files(store):
    return sorted(store.root.rglob("value.pkl"))


def test_entries_lists_every_chunk_largest_first():
    store = Store()
    for count in (10, 5_000, 500):
        drawn(store, count, 0)
    entries = store.entries()
    assert [entry.kind for entry in entries] == ["drawn"] * 3
    assert [entry.size for entry in entries] == sorted((entry.size for entry in entries), reverse=True)
    on_disk = sum(f.stat().st_size for entry in entries for f in entry.path.iterdir())
    assert sum(entry.size for entry in entries) == on_disk
    assert entries[0].size > 8 * 4_000


def age(folder, seconds):
    then = time.time() - seconds
    os.utime(folder, (then, then))


def test_shrink_drops_the_least_recently_used_first():
    store = Store()
    folders = []
    for seed in range(4):
        drawn(store, 2_000, seed)
        (folder,) = {file.parent for file in value_files(store)} - set(folders)
        folders.append(folder)
        age(folder, 1_000 - 100 * seed)
    drawn(store, 2_000, 0)  # found again: now it was used last
    size = max(entry.size for entry in store.entries())
    store.shrink(budget=2 * size)
    assert {entry.path for entry in store.entries()} == {folders[0], folders[3]}
    fresh = Store()
    for seed in (0, 3):
        drawn(fresh, 2_000, seed)
    assert (fresh.computed, fresh.reused) == (0, 2)


def test_clear_leaves_nothing():
    store = Store()
    drawn(store, 10, 0)
    store.clear()
    assert not value_files(store)
    assert store.entries() == []
    drawn(store, 10, 0)
    assert (store.computed, store.reused) == (2, 0)


def test_forget_drops_the_chunks_whose_keys_name_a_content_and_no_others():
    store = Store()
    mine, others = content_hash("mine"), content_hash("others")
    keys = [(mine,), (others,), (others, ["deep", {"inside": (1, mine)}]), (np.ones(2), f"{mine} and more")]
    for key in keys:
        store.chunk(DRAWN, key, lambda: np.zeros(100))
    before = sum(entry.size for entry in store.entries())
    freed = store.forget(mine, "0" * 40)
    (left,) = store.entries()
    assert freed == before - left.size > 0
    assert store.chunk(DRAWN, (others,), never).shape == (100,)
    assert store.forget(mine) == 0


def test_the_text_beside_a_chunk_says_what_it_is():
    store = Store()
    store.chunk(ChunkKind("drawn", version=3), ("a" * 40, 0.5, np.ones((2, 3), bool)), lambda: 1)
    (entry,) = store.entries()
    found = json.loads((entry.path / "key.json").read_text())
    assert found == {"kind": "drawn", "version": 3, "key": ["a" * 40, 0.5, "bool (2, 3)"]}


def measure(suite_hash, numbers):
    return np.full(3_000, numbers.sum())


measure.__module__ = "kernelsm.estimators.gradex"


@pytest.fixture
def tree_of_before(cache_folder):
    """Chunks as they were kept until kinds had names: under the path of a function, beside its source text."""
    memory = joblib.Memory(cache_folder / "store", verbose=0, compress=1)
    for content in ("a" * 40, "b" * 40):
        memory.cache(measure)(content, np.arange(3.0))
    tree = cache_folder / "store" / "kernelsm"
    for file in tree.rglob("output.pkl"):
        age(file.parent, 1_000)
    return tree


def test_chunks_of_before_do_no_harm_and_are_dropped_in_time(tree_of_before):
    store = Store()
    drawn(store, 10, 0)
    kinds = [entry.kind for entry in store.entries()]
    assert sorted(kinds) == ["drawn", "earlier_version", "earlier_version"]
    assert store.forget("a" * 40) > 0
    assert len(store.entries()) == 2
    (new,) = (entry for entry in store.entries() if entry.kind == "drawn")
    store.shrink(new.size)
    assert store.entries() == [new]
    store.clear()
    assert not tree_of_before.exists()


def test_arrays_of_before_are_dropped_in_time(cache_folder):
    folder = cache_folder / "arrays" / "gradient_features" / ("a" * 40)
    folder.mkdir(parents=True)
    (folder / "features.bin").write_bytes(bytes(5_000))
    (folder / "header.json").write_text(json.dumps({"arguments": {"weights": "b" * 40}}))
    store = Store()
    assert [(entry.kind, entry.path) for entry in store.entries()] == [("gradient_features", folder)]
    assert store.forget("b" * 40) > 5_000
    assert store.entries() == []


# --- array files


def arrays(store, kind=FEATURES, key=("a",), rows=100):
    """Write an array file of `rows` kibibytes."""
    file = store.arrays(kind, key, Layout(rows, 50, {"a": (256,)}))
    for number in range(file.layout.chunks):
        if number not in file.finished:
            start, stop = file.layout.span(number)
            file.write(number, a=np.ones((stop - start, 256), np.float32))
    return file


def test_array_files_are_entries_like_any_other():
    store = Store()
    drawn(store, 500, 0)
    file = arrays(store)
    (large, small) = store.entries()
    assert (large.kind, large.path) == ("features", file.folder)
    assert large.size == sum(part.stat().st_size for part in file.folder.iterdir()) > 100 * 1024
    assert small.kind == "drawn"
    # what stands beside them is no entry
    (store.arrays_root / "stray.txt").write_text("")
    (file.folder.parent / "stray.txt").write_text("")
    (store.root / "drawn.v1" / "stray.txt").write_text("")
    assert len(store.entries()) == 2


def test_array_files_are_found_again_by_kind_and_key():
    arrays(Store())
    layout = Layout(100, 50, {"a": (256,)})
    assert set(Store().arrays(FEATURES, ("a",), layout).finished) == {0, 1}
    for kind, key in ((FEATURES, ("b",)), (ChunkKind("others"), ("a",)), (ChunkKind("features", version=2), ("a",))):
        assert not Store().arrays(kind, key, layout).finished


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
    oldest, newest = (arrays(store, key=(name,)).folder for name in ("a", "b"))
    drawn(store, 5_000, 0)
    (chunk,) = (file.parent for file in value_files(store))
    for folder, seconds in ((oldest, 300), (chunk, 200), (newest, 100)):
        age(folder, seconds)
    sizes = {entry.path: entry.size for entry in store.entries()}
    total = sum(sizes.values())
    store.shrink(budget=total)
    assert len(store.entries()) == 3
    store.shrink(budget=total - 1)
    assert {entry.path for entry in store.entries()} == {newest, chunk}
    store.shrink(budget=sizes[newest])
    assert [entry.path for entry in store.entries()] == [newest]
    store.shrink(budget=0)
    assert [entry.path for entry in store.entries()] == [newest]  # what was used last stays, however large


def test_opening_an_array_file_keeps_it_from_being_dropped_first():
    store = Store()
    first, second = (arrays(store, key=(name,)).folder for name in ("a", "b"))
    age(first, 300)
    age(second, 100)
    arrays(Store(), key=("a",))
    store.shrink(budget=store.entries()[0].size)
    assert [entry.path for entry in store.entries()] == [first]


def test_arrays_that_are_emptied_while_they_are_written_are_refused_in_words_and_written_again():
    layout = Layout(4, 2, {"a": ()})
    file = Store().arrays(FEATURES, ("a",), layout)
    file.write(0, a=np.ones(2, np.float32))
    Store().clear()
    with pytest.raises(InputError, match="gone"):
        file.write(1, a=np.ones(2, np.float32))
    again = Store().arrays(FEATURES, ("a",), layout)
    again.write(0, a=np.ones(2, np.float32))
    assert set(again.finished) == {0}


def test_shrinking_leaves_what_is_being_written():
    file = Store().arrays(FEATURES, ("a",), Layout(4, 2, {"a": ()}))
    file.write(0, a=np.ones(2, np.float32))
    Store().shrink(0)
    file.write(1, a=np.ones(2, np.float32))
    assert set(file.finished) == {0, 1}


def test_chunks_of_array_files_are_counted():
    store = Store()
    for reused in (True, True, False):
        store.count(reused=reused)
    assert (store.computed, store.reused) == (1, 2)
