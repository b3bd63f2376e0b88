"""Times of chunks: kept beside them, added up when they are found, once each."""

import math
import time

from kernelsm.runtime.store import ChunkKind, Store
from kernelsm.runtime.timed_store import TimedStore

INNER, OUTER = ChunkKind("inner"), ChunkKind("outer")


def busy(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return seconds


def test_the_time_of_what_is_found_is_known(tmp_path):
    TimedStore(tmp_path).chunk(INNER, (1,), lambda: busy(0.05))
    store = TimedStore(tmp_path)
    assert store.chunk(INNER, (1,), lambda: busy(9.0)) == 0.05
    assert 0.05 <= store.found_seconds < 5
    assert (store.computed, store.reused) == (0, 1)


def test_a_chunk_that_found_another_holds_its_time(tmp_path):
    TimedStore(tmp_path).chunk(INNER, (1,), lambda: busy(0.1))
    store = TimedStore(tmp_path)
    store.chunk(OUTER, (1,), lambda: store.chunk(INNER, (1,), lambda: busy(9.0)))
    assert store.found_seconds == 0.0  # it was computed just now
    later = TimedStore(tmp_path)
    later.chunk(OUTER, (1,), lambda: busy(9.0))
    assert 0.1 <= later.found_seconds < 5


def test_the_time_of_a_chunk_that_another_store_computed_is_not_known(tmp_path):
    Store(tmp_path).chunk(INNER, (1,), lambda: 3)
    store = TimedStore(tmp_path)
    assert store.chunk(INNER, (1,), lambda: 4) == 3
    assert math.isnan(store.found_seconds)
