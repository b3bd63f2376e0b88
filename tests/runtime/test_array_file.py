"""Arrays on disk: whole after a kill, after any damage and on a full disk, and found again without work."""

import contextlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelsm import InputError
from kernelsm.runtime.array_file import ArrayFile, Layout

ROWS, CHUNK = 10, 3
FIELDS = {"wide": (2, 3), "single": ()}
LAYOUT = Layout(ROWS, CHUNK, FIELDS, {"map": "one", "sizes": (1, 2)})


def right(rows=ROWS, fields=FIELDS):
    return {
        name: np.random.default_rng(i).normal(size=(rows, *shape)).astype(np.float32)
        for i, (name, shape) in enumerate(fields.items())
    }


def write(file, number):
    start, stop = file.layout.span(number)
    arrays = right(file.layout.rows, file.layout.fields)
    file.write(number, **{name: values[start:stop] for name, values in arrays.items()})


def finish(file):
    """Write what is missing; return the numbers of the chunks that were."""
    missing = [number for number in range(file.layout.chunks) if number not in file.finished]
    for number in missing:
        write(file, number)
    return missing


def assert_whole(file):
    for name, values in right(file.layout.rows, file.layout.fields).items():
        found = file.read()[name]
        assert found.dtype == np.float32
        assert found.shape == values.shape
        assert found.tobytes() == values.tobytes()


@pytest.fixture
def folder(tmp_path):
    """Folder of a finished array file."""
    finish(ArrayFile(tmp_path / "kind" / "key", LAYOUT))
    return tmp_path / "kind" / "key"


def test_a_layout_cuts_rows_into_chunks():
    assert [LAYOUT.span(number) for number in range(LAYOUT.chunks)] == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert LAYOUT.row_bytes == {"wide": 24, "single": 4}
    assert Layout(3, 10, FIELDS).chunks == 1
    assert json.loads(json.dumps(LAYOUT.header())) == LAYOUT.header()


def test_what_is_written_is_read_and_never_written_again(folder):
    file = ArrayFile(folder, LAYOUT)
    assert finish(file) == []
    assert_whole(file)
    assert sorted(path.name for path in folder.iterdir()) == [
        "finished.txt", "header.json", "single.bin", "wide.bin",
    ]  # fmt: skip


def test_maps_are_read_only_and_no_copies(folder):
    found = ArrayFile(folder, LAYOUT).read()
    for values in found.values():
        assert isinstance(values, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1.0


def test_maps_survive_the_deletion_of_their_files(folder):
    found = ArrayFile(folder, LAYOUT).read()
    shutil.rmtree(folder)
    assert np.array_equal(found["wide"], right()["wide"])


def test_unfinished_arrays_are_not_read(tmp_path):
    file = ArrayFile(tmp_path / "key", LAYOUT)
    write(file, 0)
    with pytest.raises(AssertionError, match="chunks are missing"):
        file.read()


def test_rows_of_another_shape_are_not_written(tmp_path):
    file = ArrayFile(tmp_path / "key", LAYOUT)
    with pytest.raises(AssertionError):
        file.write(0, wide=np.zeros((3, 2, 2), np.float32), single=np.zeros(3, np.float32))
    assert finish(ArrayFile(tmp_path / "key", LAYOUT)) == [0, 1, 2, 3]


@pytest.mark.parametrize("order", [[3, 2, 1, 0], [2, 0, 3, 1], [0, 0, 1, 2, 3, 3]])
def test_chunks_may_be_written_in_any_order_and_twice(tmp_path, order):
    file = ArrayFile(tmp_path / "key", LAYOUT)
    for number in order:
        write(file, number)
    assert_whole(file)
    again = ArrayFile(tmp_path / "key", LAYOUT)
    assert finish(again) == []
    assert_whole(again)


def test_many_chunks_are_all_found_again(tmp_path):
    layout = Layout(150, 1, {"a": (2,)})
    finish(ArrayFile(tmp_path / "key", layout))
    again = ArrayFile(tmp_path / "key", layout)
    assert finish(again) == []
    assert_whole(again)


@pytest.mark.parametrize(
    "other",
    [
        Layout(ROWS + 1, CHUNK, FIELDS, LAYOUT.arguments), Layout(ROWS, CHUNK + 1, FIELDS, LAYOUT.arguments),
        Layout(ROWS, CHUNK, {"wide": (3, 2), "single": ()}, LAYOUT.arguments),
        Layout(ROWS, CHUNK, {"other": (2, 3), "single": ()}, LAYOUT.arguments),
        Layout(ROWS, CHUNK, FIELDS, {"map": "two"}),
    ],
)  # fmt: skip
def test_a_folder_that_holds_something_else_is_emptied(folder, other):
    file = ArrayFile(folder, other)
    assert finish(file) == list(range(other.chunks))
    assert_whole(file)
    assert finish(ArrayFile(folder, LAYOUT)) == [0, 1, 2, 3]


def test_opening_marks_the_folder_as_used(folder):
    os.utime(folder, (1.0, 1.0))
    ArrayFile(folder, LAYOUT)
    assert time.time() - folder.stat().st_mtime < 60


# --- damage ---


def changed(path, position, value=0x10):
    data = bytearray(path.read_bytes())
    data[position] ^= value
    path.write_bytes(bytes(data))


def test_a_damaged_chunk_is_named_and_it_alone_is_computed_again(folder, caplog):
    changed(folder / "wide.bin", 4 * 24 + 5)
    with caplog.at_level(logging.WARNING, logger="kernelsm"):
        file = ArrayFile(folder, LAYOUT)
    assert [record.getMessage() for record in caplog.records] == ["damaged chunk 1 of key dropped and computed again"]
    assert finish(file) == [1]
    assert_whole(file)
    assert finish(ArrayFile(folder, LAYOUT)) == []


@pytest.mark.parametrize(("rows", "missing"), [(0, [0, 1, 2, 3]), (4, [1, 2, 3]), (9, [3])])
def test_a_cut_file_costs_the_chunks_that_it_lost(folder, rows, missing):
    os.truncate(folder / "wide.bin", rows * 24)
    file = ArrayFile(folder, LAYOUT)
    assert file.missing_bytes() == (ROWS - rows) * 24
    assert finish(file) == missing
    assert_whole(file)


@pytest.mark.parametrize("name", ["header.json", "finished.txt", "wide.bin", "single.bin"])
@pytest.mark.parametrize(
    "content", [None, b"", b"garbage", b"\xff\xfe\x00\x80", b"{}", b"[1, 2]", b"null", b"0 0 0\n-1 2 3\n99 1 2\n"]
)
def test_missing_or_garbled_files_are_mended(folder, name, content):
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    file = ArrayFile(folder, LAYOUT)
    finish(file)
    assert_whole(file)
    assert finish(ArrayFile(folder, LAYOUT)) == []


@pytest.mark.parametrize(
    ("name", "content"), [("finished.txt", b"1" * 5000 + b" 2 3\n"), ("header.json", b"[" * 100_000)]
)
def test_endless_garbage_is_mended(folder, name, content):
    (folder / name).write_bytes(content)
    file = ArrayFile(folder, LAYOUT)
    finish(file)
    assert_whole(file)


def test_a_line_that_was_cut_costs_its_chunk(folder):
    for cut in (2, 5):
        text = (folder / "finished.txt").read_bytes()
        (folder / "finished.txt").write_bytes(text[:-cut])
        file = ArrayFile(folder, LAYOUT)
        assert finish(file) == [3]
        assert finish(ArrayFile(folder, LAYOUT)) == []


def test_a_line_that_lost_its_end_alone_costs_no_more_than_its_chunk(tmp_path):
    file = ArrayFile(tmp_path / "key", LAYOUT)
    for number in (0, 1):
        write(file, number)
    lines = tmp_path / "key" / "finished.txt"
    lines.write_bytes(lines.read_bytes()[:-1])
    write(ArrayFile(tmp_path / "key", LAYOUT), 2)
    assert len(finish(ArrayFile(tmp_path / "key", LAYOUT))) <= 2


damages = st.lists(
    st.tuples(
        st.sampled_from(["header.json", "finished.txt", "wide.bin", "single.bin"]),
        st.sampled_from(["flip", "cut", "append", "insert", "zero", "remove"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=4,
)


@given(damages, st.sets(st.integers(0, 3)))
@settings(max_examples=120)
def test_after_any_damage_finishing_gives_the_same_arrays(tmp_path_factory, done, numbers):
    folder = tmp_path_factory.mktemp("damage") / "key"
    file = ArrayFile(folder, LAYOUT)
    for number in sorted(numbers):
        write(file, number)
    for name, kind, where, data in done:
        path = folder / name
        content = path.read_bytes() if path.exists() else b""
        at = int(where * len(content))
        if kind == "remove":
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(
                {
                    "flip": content[:at] + bytes([(content[at : at + 1] or b"\0")[0] ^ (data[0] | 1)])
                    + content[at + 1 :], "cut": content[:at], "append": content + data,
                    "insert": content[:at] + data + content[at:], "zero": bytes(len(content)),
                }[kind]
            )  # fmt: skip
    mended = ArrayFile(folder, LAYOUT)
    finish(mended)
    assert_whole(mended)
    again = ArrayFile(folder, LAYOUT)
    assert finish(again) == []
    assert_whole(again)


# --- kill -9 ---

WRITER = """
import sys, time
import numpy as np
from pathlib import Path
from kernelsm.runtime.array_file import ArrayFile, Layout
layout = Layout(400, 10, {"a": (5000,)})
file = ArrayFile(Path(sys.argv[1]), layout)
print("start", len(file.finished), flush=True)
for number in range(layout.chunks):
    if number not in file.finished:
        values = np.random.default_rng(number).normal(size=(10, 5000)).astype(np.float32)
        print("chunk", number, flush=True)
        file.write(number, a=values)
"""


def test_a_killed_process_loses_at_most_the_chunk_at_hand(tmp_path):
    layout = Layout(400, 10, {"a": (5000,)})
    begun = 0
    for wanted in (4, 11, 25):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "key")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            words = process.stdout.readline().split()
            assert words[0] == "start"
            assert int(words[1]) >= begun - 1  # at most one chunk is done again
            for line in process.stdout:
                begun = int(line.split()[1]) + 1
                if begun >= wanted:
                    break
            time.sleep(0.002 * (wanted % 3))  # somewhere within the write
            os.kill(process.pid, signal.SIGKILL)
            begun = max([begun, *(int(line.split()[1]) + 1 for line in process.stdout)])
    file = ArrayFile(tmp_path / "key", layout)
    assert len(file.finished) >= begun - 1
    for number in range(layout.chunks):
        if number not in file.finished:
            file.write(number, a=np.random.default_rng(number).normal(size=(10, 5000)).astype(np.float32))
    found = ArrayFile(tmp_path / "key", layout).read()["a"]
    for number in range(layout.chunks):
        expected = np.random.default_rng(number).normal(size=(10, 5000)).astype(np.float32)
        assert found[10 * number : 10 * number + 10].tobytes() == expected.tobytes()


# --- a full disk ---

BIG = Layout(400, 50, {"a": (1024,)})  # 1.6 MB


def fill(path, leave=0):
    """Fill a disk but for `leave` bytes."""
    number = os.open(path, os.O_CREAT | os.O_WRONLY)
    with contextlib.suppress(OSError):
        while (free := shutil.disk_usage(path.parent).free) > leave:
            os.write(number, b"x" * min(free - leave, 65536))
    os.close(number)


@pytest.mark.parametrize("small_disk", [3], indirect=True)
def test_arrays_that_do_not_fit_are_refused_before_any_work(small_disk):
    with pytest.raises(InputError) as caught:
        ArrayFile(small_disk / "kind" / "key", Layout(1000, 100, {"a": (1024,)}))
    words = str(caught.value)
    assert "disk of the cache" in words
    assert re.search(r"found [\d.]+ MiB free", words)
    assert "expected 5 MiB" in words
    assert "finished chunks are kept" in words


@pytest.mark.parametrize("small_disk", [3], indirect=True)
def test_what_is_finished_is_not_asked_for_again(small_disk):
    finish(ArrayFile(small_disk / "key", BIG))
    fill(small_disk / "other")
    file = ArrayFile(small_disk / "key", BIG)
    assert finish(file) == []
    assert_whole(file)


@pytest.mark.parametrize("small_disk", [3], indirect=True)
def test_a_disk_that_fills_up_in_the_middle_keeps_what_is_finished(small_disk):
    file = ArrayFile(small_disk / "key", BIG)
    write(file, 0)
    fill(small_disk / "other", leave=300 * 1024)
    with pytest.raises(InputError, match="no space left"):
        finish(file)
    assert set(file.finished) == {0, 1}
    # the half-written chunk is cut off, so that there is room for the words that say how the job ended
    assert (small_disk / "key" / "a.bin").stat().st_size == 100 * 4096
    assert shutil.disk_usage(small_disk).free >= 100 * 1024
    with pytest.raises(InputError, match="disk of the cache"):
        ArrayFile(small_disk / "key", BIG)
    (small_disk / "other").unlink()
    again = ArrayFile(small_disk / "key", BIG)
    assert finish(again) == list(range(2, 8))
    assert_whole(again)


@pytest.mark.parametrize("small_disk", [3], indirect=True)
def test_a_disk_without_a_byte_left_is_refused_in_words(small_disk):
    fill(small_disk / "other")
    with pytest.raises(InputError, match="disk of the cache"):
        ArrayFile(small_disk / "kind" / "key", BIG)
    (small_disk / "other").unlink()
    file = ArrayFile(small_disk / "kind" / "key", BIG)
    finish(file)
    assert_whole(file)


@pytest.mark.parametrize("small_disk", [3], indirect=True)
def test_damage_found_on_a_full_disk_is_refused_in_words(small_disk):
    file = ArrayFile(small_disk / "key", BIG)
    write(file, 0)
    write(file, 1)
    with (small_disk / "key" / "a.bin").open("r+b") as numbers:
        numbers.write(b"damage")
    fill(small_disk / "other")
    with pytest.raises(InputError, match="disk of the cache"):
        ArrayFile(small_disk / "key", BIG)
    (small_disk / "other").unlink()
    assert finish(ArrayFile(small_disk / "key", BIG))[0] == 0


def test_a_failure_that_is_no_full_disk_keeps_its_own_words(folder, monkeypatch):
    def fails(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        write(ArrayFile(folder, LAYOUT), 0)
