"""NumPy archives: what is read, in which type, and what is refused before memory is taken."""

import io
import struct
import zipfile

import numpy as np
import pytest

from kernelsm import InputError
from kernelsm.files.archives import open_archive
from kernelsm.files.limits import Limits
from kernelsm.files.npz import ArrayFormat, read_arrays, read_header

LIMITS = Limits(files=10, unpacked_megabytes=1)
NUMBERS = ArrayFormat((0, 1, 2, 3), "biuf")


def npz(save=np.savez, **arrays):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def read(array, wanted=NUMBERS):
    return read_arrays(npz(x=array), "t.npz", {"x": wanted}, LIMITS)["x"]


def refused(data, wanted=None, limits=LIMITS):
    with pytest.raises(InputError) as caught:
        read_arrays(data, "t.npz", wanted or {"x": NUMBERS}, limits)
    assert caught.value.place.startswith("t.npz")
    return caught.value


@pytest.mark.parametrize(
    "array",
    [
        np.array(5), np.arange(6), np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6, dtype=">i4"), np.zeros((0, 3)), np.array([True, False]), np.arange(24).reshape(2, 3, 4).T,
    ],
    ids=range(8),
)  # fmt: skip
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_in_this_machines_order(array, save, tmp_path):
    path = tmp_path / "t.npz"
    path.write_bytes(npz(save, x=array))
    found = read_arrays(path, "t.npz", {"x": NUMBERS}, LIMITS)["x"]
    np.testing.assert_array_equal(found, array)
    assert found.shape == array.shape
    assert found.dtype.isnative
    assert found.flags.c_contiguous


def test_numbers_are_read_into_the_type_that_is_wanted():
    found = read(np.array([1.5, 1e300]), ArrayFormat((1,), "f", np.float32))
    assert found.dtype == np.float32
    assert found.tolist() == [1.5, np.inf]
    assert read(np.array([1, 2], dtype=np.int8), ArrayFormat((1,), "i", np.int64)).dtype == np.int64


def test_an_array_larger_than_a_piece_is_whole(monkeypatch):
    monkeypatch.setattr("kernelsm.files.npz._BYTES_AT_ONCE", 100)
    array = np.random.default_rng(0).normal(size=(70, 9))
    np.testing.assert_array_equal(read(array), array)
    words = np.array([f"word {i}" for i in range(100)])
    assert read(words, ArrayFormat((1,), "U")).tolist() == words.tolist()


def test_optional_arrays_may_be_missing_and_others_may_not():
    wanted = {"x": NUMBERS, "more": ArrayFormat((1,), "f", optional=True)}
    assert read_arrays(npz(x=np.ones(2)), "t.npz", wanted, LIMITS).keys() == {"x"}
    assert refused(npz(more=np.ones(2)), wanted).found == "no array x"
    assert refused(npz(x=np.ones(2), y=np.ones(2)), wanted).place == "t.npz, 'y.npy'"


@pytest.mark.parametrize(
    ("array", "wanted", "found"),
    [
        (np.array(["a"]), NUMBERS, "type <U1"),
        (np.ones(3), ArrayFormat((2,), "f"), "shape (3,)"),
        (np.array([object()]), NUMBERS, "Python objects (a pickle, which can run code)"),
        (np.array([1j]), NUMBERS, "complex numbers (type complex128)"),
        (np.array([b"a"]), NUMBERS, "bytes (type |S1)"),
        (np.array(["2030-01-01"], dtype="M8[D]"), NUMBERS, "dates (type datetime64[D])"),
        (np.zeros(2, dtype=[("a", "f4")]), NUMBERS, "records of several fields"),
    ],
)
def test_other_types_and_shapes_are_refused(array, wanted, found):
    error = refused(npz(x=array), {"x": wanted})
    assert error.place == "t.npz, x"
    assert error.found.startswith(found)


def test_sizes_are_counted_in_the_type_that_is_read(tmp_path):
    small = npz(np.savez_compressed, x=np.zeros(200_000, dtype=np.int8))
    assert read_arrays(small, "t.npz", {"x": NUMBERS}, LIMITS)["x"].size == 200_000
    wide = {"x": ArrayFormat((1,), "i", np.float64)}
    assert refused(small, wide).found == "2 MiB when unpacked"
    assert refused(npz(np.savez_compressed, x=np.zeros(300_000)), wide).found == "at least 3 MiB when unpacked"


def test_a_lying_header_is_refused_before_memory_is_taken():
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**12},), }}\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(16))
    assert refused(buffer.getvalue()).found == f"16 bytes for float64 of shape ({10**12},)"


@pytest.mark.parametrize(("data", "found"), [(b"", "an empty file"), (b"a,b\n", "no zip archive")])
def test_what_is_no_archive_is_refused(data, found, tmp_path):
    error = refused(data)
    assert found in error.found
    assert error.expected == "a whole .npz file"
    with pytest.raises(InputError, match="a folder"):
        read_arrays(tmp_path, "t.npz", {}, LIMITS)
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "none.npz", "t.npz", {}, LIMITS)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_first_rows_are_read_alone(order):
    array = np.arange(60).reshape(20, 3).copy(order=order)
    with open_archive(npz(x=array), "t.npz", LIMITS) as archive:
        stored = read_header(archive, archive.infolist()[0], "t.npz, array 'x'")
        np.testing.assert_array_equal(stored.read(archive, rows=4), array[:4])
        np.testing.assert_array_equal(stored.read(archive, rows=99), array)
    assert stored.bytes_as(np.float32) == 240
