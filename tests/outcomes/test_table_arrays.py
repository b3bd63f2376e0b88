"""Outcome tables from arrays: NPZ and JSON, and the two lists published with the paper."""

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kernelsm import InputError, Outcomes

MASKS = [[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 0]]
VALUES = [[0.5, 1.0], [0.25, 2.0], [0.125, 3.0], [1e-9, -4.0]]
NAMES = {"task_names": ["a", "größe", '🙂, "c"'], "target_names": ["x", "y"]}
FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "coin_flip"


def npz(compressed=False, **arrays):
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def text(**content):
    return json.dumps(content).encode()


def refusal(data, name):
    with pytest.raises(InputError) as caught:
        Outcomes.from_bytes(data, name)
    assert name in caught.value.place
    assert caught.value.expected
    assert caught.value.fix.endswith((".", "?"))
    return caught.value


@pytest.fixture
def table():
    return Outcomes(MASKS, VALUES, **NAMES)


# --- what is read


@pytest.mark.parametrize("kind", [np.bool_, np.int8, np.uint64, np.float16, np.float64, ">i4"])
@pytest.mark.parametrize("compressed", [False, True])
def test_an_archive_of_arrays_is_the_table(table, kind, compressed):
    data = npz(compressed, masks=np.array(MASKS).astype(kind), values=np.array(VALUES), **NAMES)
    found = Outcomes.from_bytes(data, "t.npz")
    assert found.content_hash == table.content_hash
    assert found.meta == {"source": "t.npz"}


def test_a_json_object_is_the_table(table):
    assert Outcomes.from_bytes(text(masks=MASKS, values=VALUES, **NAMES), "t.json").content_hash == table.content_hash


def test_tasks_of_a_subset_may_be_listed_by_number(table):
    ids = [[0, 2], [2, 1], [1, 0], []]
    assert Outcomes.from_bytes(text(ids=ids, values=VALUES, **NAMES), "t.json").content_hash == table.content_hash
    unnamed = Outcomes.from_bytes(text(ids=ids, values=VALUES), "t.json")
    assert unnamed.masks.tolist() == table.masks.tolist()
    # a task is found in the list by its name
    assert unnamed.task_names == ("id 0", "id 1", "id 2")


def test_names_make_room_for_tasks_that_no_subset_holds():
    found = Outcomes.from_bytes(text(ids=[[0], [1]], values=[1, 2], task_names=["a", "b", "c"]), "t.json")
    assert found.K == 3
    assert not found.masks[:, 2].any()


@pytest.mark.parametrize("ending", ["npz", "json"])
def test_one_target_may_be_a_row_of_numbers_and_names_may_be_left_out(ending):
    values = [0.5, 0.25, 0.125, 2]
    data = npz(masks=MASKS, values=values) if ending == "npz" else text(masks=MASKS, values=values)
    found = Outcomes.from_bytes(data, f"t.{ending}")
    assert found.content_hash == Outcomes(MASKS, values).content_hash


@pytest.mark.parametrize("ending", ["npz", "json"])
def test_a_file_that_says_the_direction_wins_over_the_argument(ending):
    def read(told, **said):
        data = (
            npz(masks=MASKS, values=VALUES, **said) if ending == "npz" else text(masks=MASKS, values=VALUES, **said)
        )
        return Outcomes.from_bytes(data, f"t.{ending}", higher_is_better=told).higher_is_better

    assert read(True)
    assert not read(False)
    assert not read(True, higher_is_better=False)
    assert read(False, higher_is_better=True)


def test_fortran_order_and_other_widths_are_read_right(table):
    values = np.asfortranarray(np.array(VALUES).astype(">f8"))
    masks = np.asfortranarray(np.array(MASKS, dtype=np.uint8))
    found = Outcomes.from_bytes(npz(masks=masks, values=values, **NAMES), "t.npz")
    assert found.content_hash == table.content_hash


def test_large_arrays_are_read_whole():
    # longer than a piece that is read at a time, and no multiple of it
    rng = np.random.default_rng(0)
    masks, values = rng.random((40_001, 3)) < 0.5, rng.normal(size=(40_001, 60))
    for compressed in (False, True):
        found = Outcomes.from_bytes(npz(compressed, masks=masks, values=values), "t.npz")
        assert np.array_equal(found.values, values)
        assert np.array_equal(found.masks, masks)


@pytest.mark.parametrize("ending", [".npz", ".json"])
def test_files_are_loaded_by_their_path(tmp_path, table, ending):
    path = tmp_path / f"table{ending}"
    path.write_bytes(
        npz(masks=MASKS, values=VALUES, **NAMES) if ending == ".npz" else text(masks=MASKS, values=VALUES)
    )
    assert np.array_equal(Outcomes.load(path).values, table.values)


def test_a_byte_order_mark_before_json_does_no_harm():
    assert Outcomes.from_bytes(b"\xef\xbb\xbf" + text(masks=MASKS, values=VALUES), "t.json").m == 4


# --- the authors' two files


def published(*order):
    files = {
        "ids": (json.dumps([[0, 2], [2, 1], [1, 0], []]).encode(), "train_ids_list.json"),
        "values": (json.dumps(VALUES).encode(), "subset_scores_loss.json"),
    }
    return [files[part] for part in order]


@pytest.mark.parametrize("order", [("ids", "values"), ("values", "ids")])
def test_two_lists_are_one_table_in_any_order(order):
    found = Outcomes.from_files(published(*order))
    assert found.masks.tolist() == np.array(MASKS, dtype=bool).tolist()
    assert found.values.tolist() == VALUES
    assert found.meta == {"source": "train_ids_list.json, subset_scores_loss.json"}
    assert Outcomes.from_files(published(*order), higher_is_better=True).higher_is_better


def test_the_published_files_are_read_as_they_are():
    if not FOLDER.is_dir():
        pytest.skip("the published coin-flip outcomes are not beside this checkout (../shared/data/coin_flip)")
    files = [(path.read_bytes(), path.name) for path in sorted(FOLDER.glob("*.json"))]
    found = Outcomes.from_files(files)
    losses, prompts = (json.loads(data) for data, _ in files)
    assert (found.m, found.K, found.q) == (200, 50, 869)
    assert found.values.tolist() == losses
    assert [set(np.flatnonzero(mask)) for mask in found.masks] == [set(prompt) for prompt in prompts]
    together = b'{"ids": ' + files[1][0] + b', "values": ' + files[0][0] + b"}"
    assert Outcomes.from_bytes(together, "both.json").content_hash == found.content_hash


def test_outcomes_that_could_be_ids_are_told_by_the_names():
    # accuracies of one query: each row holds one whole number
    ids, scores = b"[[0], [1], [0, 1]]", b"[[1], [0], [1]]"
    found = Outcomes.from_files([(scores, "scores.json"), (ids, "train_ids.json")])
    assert found.values[:, 0].tolist() == [1, 0, 1]
    for names in (("scores.json", "prompts.json"), ("scores-of-ids.json", "ids.json")):
        with pytest.raises(InputError) as caught:
            Outcomes.from_files([(scores, names[0]), (ids, names[1])])
        assert caught.value.found == "two lists that may both be ids"


def test_one_list_alone_asks_for_the_other():
    for part in ("ids", "values"):
        (file,) = published(part)
        assert "together" in refusal(*file).fix


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], "no file"),
        ([(b"[[1]]", "a.json")] * 3, "a.json, a.json, a.json"),
        ([(b"[[1]]", "a.json"), (b"task:a,target:b\n1,2\n0,3\n", "b.csv")], "a.json, b.csv"),
        ([(b"[[0.5]]", "a.json"), (b"[[0.5]]", "b.json")], "no list of ids"),
        ([(b"[[0]]", "ids.json"), (b"[[0]]", "ids2.json")], "two lists that may both be ids"),
        ([(b"[[0], [1]]", "a.json"), (b"[[0.5]]", "b.json")], "outcomes of 1 subsets"),
        ([(b"[[0], [1]]", "a.json"), (b"[[0.5], [1.5, 2]]", "b.json")], "2 numbers"),
        ([(b"[[0], [1]]", "a.json"), (b"{}", "b.json")], "an object"),
        ([(b"[[0], [1]]", "a.json"), (b"", "b.json")], "0 bytes"),
        ([(b"[[0], [1]]", "a.json"), (b"[[0.5], [NaN]]", "b.json")], "NaN"),
        ([(b"[[0], [1, 1]]", "a.json"), (b"[[0.5], [1]]", "b.json")], "no list of ids"),
        ([(b"[[0], [-1]]", "a.json"), (b"[[0.5], [1]]", "b.json")], "no list of ids"),
        ([(b"[[0], [1, 1]]", "ids.json"), (b"[[0.5], [1.5]]", "b.json")], "a task twice"),
        ([(b"[[0.5], [1.5]]", "b.json"), (b"[[0], [-1]]", "ids.json")], "task -1"),
        ([(b"[[], []]", "a.json"), (b"[[0.5], [1]]", "b.json")], "0 tasks"),
        ([(b"[[0], [500]]", "a.json"), (b"[[0.5], [1]]", "b.json")], "task 500"),
        ([(b"[[0], [1]]", "a.json"), (b"[]", "b.json")], ""),
    ],
)
def test_files_that_do_not_make_one_table_are_refused(files, found):
    with pytest.raises(InputError) as caught:
        Outcomes.from_files(files)
    assert found in caught.value.found


# --- what is refused


@pytest.mark.parametrize(
    ("arrays", "place", "found"),
    [
        ({"values": VALUES}, "t.npz", "no array masks"),
        ({"masks": MASKS}, "t.npz", "no array values"),
        ({}, "t.npz", "no array masks, values"),
        ({"masks": MASKS, "values": VALUES, "seed": 1}, "t.npz, 'seed.npy'", "an unknown array"),
        ({"masks": MASKS, "values": VALUES[:3]}, "t.npz, values", "3 rows"),
        ({"masks": MASKS[0], "values": VALUES}, "t.npz, masks", "shape (3,)"),
        ({"masks": [MASKS], "values": VALUES}, "t.npz, masks", "shape (1, 4, 3)"),
        ({"masks": MASKS, "values": 1.0}, "t.npz, values", "shape ()"),
        ({"masks": MASKS, "values": [VALUES]}, "t.npz, values", "shape (1, 4, 2)"),
        ({"masks": MASKS, "values": np.array(VALUES) * 1j}, "t.npz, values", "complex128"),
        ({"masks": MASKS, "values": np.array(VALUES).astype(str)}, "t.npz, values", "<U"),
        ({"masks": np.array(MASKS).astype("M8[s]"), "values": VALUES}, "t.npz, masks", "datetime64"),
        ({"masks": np.zeros((4, 3), "i1,f8"), "values": VALUES}, "t.npz, masks", "'f0'"),
        ({"masks": [[1, 0, 1], [0, 2, 1], *MASKS[2:]], "values": VALUES}, "t.npz, row 2, column 'task:task 2'", "2"),
        ({"masks": np.array(MASKS) * 0.5, "values": VALUES}, "t.npz, row 1, column 'task:task 1'", "0.5"),
        ({"masks": MASKS, "values": [0.5, 1, np.nan, 2]}, "t.npz, row 3, column 'target:target 1'", "NaN"),
        ({"masks": MASKS, "values": [0.5, 1, 3, -np.inf]}, "t.npz, row 4, column 'target:target 1'", "inf"),
        ({"masks": MASKS, "values": [0.5, 1, 3, 1e101]}, "t.npz, row 4, column 'target:target 1'", "1e+101"),
        ({"masks": MASKS[:1], "values": VALUES[:1]}, "t.npz", "1 row"),
        ({"masks": np.zeros((0, 3)), "values": np.zeros((0, 1))}, "t.npz", "no rows"),
        ({"masks": np.zeros((4, 0)), "values": VALUES}, "t.npz, masks", "0 tasks"),
        ({"masks": MASKS, "values": np.zeros((4, 0))}, "t.npz, values", "0 targets"),
        ({"masks": np.zeros((4, 501)), "values": VALUES}, "t.npz, masks", "501 tasks"),
        ({"masks": MASKS, "values": np.zeros((4, 1001))}, "t.npz, values", "1,001 targets"),
        ({"masks": MASKS, "values": VALUES, "task_names": ["a", "b"]}, "t.npz, task_names", "2 names"),
        ({"masks": MASKS, "values": VALUES, "task_names": np.array([], str)}, "t.npz, task_names", "no names"),
        ({"masks": MASKS, "values": VALUES, "task_names": "abc"}, "t.npz, task_names", "shape ()"),
        ({"masks": MASKS, "values": VALUES, "task_names": [1, 2, 3]}, "t.npz, task_names", "int64"),
        ({"masks": MASKS, "values": VALUES, "task_names": [b"a", b"b", b"c"]}, "t.npz, task_names", "|S1"),
        ({"masks": MASKS, "values": VALUES, "task_names": ["a", "b", "a"]}, "t.npz, task_names, position 3", "'a'"),
        ({"masks": MASKS, "values": VALUES, "task_names": ["a", "b", " "]}, "t.npz, task_names, position 3", "empty"),
        ({"masks": MASKS, "values": VALUES, "target_names": ["a", "b\n"[:1] + "\x07"]},
         "t.npz, target_names, position 2", "control character"),
        ({"masks": MASKS, "values": VALUES, "higher_is_better": 1}, "t.npz, higher_is_better", "int64"),
        ({"masks": MASKS, "values": VALUES, "higher_is_better": [True]}, "t.npz, higher_is_better", "shape (1,)"),
    ],
)  # fmt: skip
def test_wrong_arrays_are_refused_where_they_are_wrong(arrays, place, found):
    error = refusal(npz(**arrays), "t.npz")
    assert error.place == place
    assert found in error.found


@pytest.mark.parametrize(
    ("content", "place", "found"),
    [
        (b"[", "t.json, line 1, position 2", "Expecting"),
        (b'{"masks": [[1, 0]],\n "values" [1]}', "t.json, line 2, position 11", "Expecting ':'"),
        (b"", "t.json", "0 bytes"),
        (b"null", "t.json", "null"),
        (b'"masks"', "t.json", "text"),
        (b"7", "t.json", "a number"),
        (b"{}", "t.json", "no 'values'"),
        (b'{"values": [1, 2]}', "t.json", "no 'masks'"),
        (b'{"masks": [[1], [0]], "ids": [[0], []], "values": [1, 2]}', "t.json", "both"),
        (b'{"masks": [[1], [0]], "values": [1, 2], "seed": 1}', "t.json, field 'seed'", "unknown"),
        (b'{"masks": [[1], [0]], "values": [1, 2], "values": [3, 4]}', "t.json", "the field 'values' twice"),
        (b'{"masks": {"a": 1}, "values": [1, 2]}', "t.json, masks", "an object"),
        (b'{"masks": [], "values": []}', "t.json, masks", "an empty list"),
        (b'{"masks": [1, 0], "values": [1, 2]}', "t.json, masks, row 1", "a number"),
        (b'{"masks": [[1], [0, 1]], "values": [1, 2]}', "t.json, masks, row 2", "2 numbers"),
        (b'{"masks": [[1], null], "values": [1, 2]}', "t.json, masks, row 2", "null"),
        (b'{"masks": [[1], ["0"]], "values": [1, 2]}', "t.json, masks, row 2, position 1", "text"),
        (b'{"masks": [[1], [0.5]], "values": [1, 2]}', "t.json, row 2, column 'task:task 1'", "0.5"),
        (b'{"masks": [[1], [0]], "values": [1, null]}', "t.json, values, row 2, position 1", "null"),
        (b'{"masks": [[1], [0]], "values": [[1], 2]}', "t.json, values, row 2", "a number"),
        (b'{"masks": [[1], [0]], "values": [1, [2]]}', "t.json, values, row 2, position 1", "a list"),
        (b'{"masks": [[1], [0]], "values": [1, {}]}', "t.json, values, row 2, position 1", "an object"),
        (b'{"masks": [[1], [0]], "values": [1, NaN]}', "t.json, row 2, column 'target:target 1'", "NaN"),
        (b'{"masks": [[1], [0]], "values": [-Infinity, 1]}', "t.json, row 1, column 'target:target 1'", "inf"),
        (b'{"masks": [[1], [0]], "values": [1e999, 1]}', "t.json, row 1, column 'target:target 1'", "inf"),
        (b'{"masks": [[1], [0]], "values": [1, 1' + b"0" * 400 + b"]}", "t.json, values, row 2", "a number above"),
        (b'{"masks": [[1], [0]], "values": [1, ' + b"9" * 5000 + b"]}", "t.json", "digits"),
        (b'{"masks": [[1], [0]], "values": [1, 2, 3]}', "t.json, values", "3 rows"),
        (b'{"masks": [[1]], "values": [1]}', "t.json", "1 row"),
        (b'{"ids": [[0], [-1]], "values": [1, 2]}', "t.json, ids, row 2", "task -1"),
        (b'{"ids": [[0], [1.0]], "values": [1, 2]}', "t.json, ids, row 2", "something else"),
        (b'{"ids": [[0], [true]], "values": [1, 2]}', "t.json, ids, row 2", "something else"),
        (b'{"ids": [[0], 1], "values": [1, 2]}', "t.json, ids, row 2", "something else"),
        (b'{"ids": [[0], [1, 1]], "values": [1, 2]}', "t.json, ids, row 2", "a task twice"),
        (b'{"ids": [[0], [1]], "values": [1, 2], "task_names": ["a"]}', "t.json, ids, row 2", "task 1"),
        (b'{"ids": [[0], [9000000000]], "values": [1, 2]}', "t.json, ids, row 2", "task 9000000000"),
        (b'{"ids": [[], []], "values": [1, 2]}', "t.json, masks", "0 tasks"),
        (b'{"masks": [[1], [0]], "values": [1, 2], "task_names": "a"}', "t.json, task_names", "something else"),
        (b'{"masks": [[1], [0]], "values": [1, 2], "task_names": [1]}', "t.json, task_names", "something else"),
        (b'{"masks": [[1], [0]], "values": [1, 2], "task_names": []}', "t.json, task_names", "no names"),
        (b'{"masks": [[1], [0]], "values": [1, 2], "task_names": ["a", "b"]}', "t.json, task_names", "2 names"),
        (b'{"masks": [[1], [0]], "values": [1, 2], "task_names": ["\\ud800"]}', "t.json, task_names, position 1", ""),
        (b'{"masks": [[1], [0]], "values": [1, 2], "higher_is_better": 0}', "t.json, higher_is_better", "0"),
        (b"[" * 100_000, "t.json", "lists within lists"),
        (b'{"masks": ' + b"[" * 100_000, "t.json", "lists within lists"),
        ('{"masks": "é"}'.encode("latin-1"), "t.json", "no 'values'"),
        ('{"masks": []}'.encode("utf-16"), "t.json", "no 'values'"),
        (b"PK\x03\x04\x00", "t.json", "what seems to be a zip archive"),
    ],
    ids=range(48),
)
def test_wrong_json_is_refused_where_it_is_wrong(content, place, found):
    error = refusal(content, "t.json")
    assert error.place == place
    assert found in error.found


@pytest.mark.parametrize("filler", [b"[],", b"{},", b'{"a":0},', b"0,"])
def test_small_text_of_very_many_objects_is_refused_before_it_fills_the_memory(filler):
    # the least text of most objects: parsed, it would take ten to thirty times as much memory
    data = b'{"masks": [' + filler * (60_000_000 // len(filler))
    assert "times" in refusal(data, "t.json").found


class Trap:
    """Leaves a trace when it is unpickled."""

    touched = False

    def __reduce__(self):
        return _spring, ()


def _spring():
    Trap.touched = True
    return 1.0


@pytest.mark.parametrize("key", ["masks", "values", "task_names", "other"])
def test_a_pickle_in_an_archive_is_refused_and_not_run(key):
    arrays = {"masks": MASKS, "values": VALUES, **NAMES, key: np.array([Trap(), Trap(), Trap()], dtype=object)}
    data = npz(**arrays)
    Trap.touched = False
    np.load(io.BytesIO(data), allow_pickle=True)[key]
    assert Trap.touched, "it is a working trap"
    Trap.touched = False
    error = refusal(data, "t.npz")
    assert "pickle" in error.found or "unknown" in error.found
    refusal(pickle.dumps(Trap()), "t.npz")
    assert not Trap.touched


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


def npy(shape, content=b"", kind="<f8", version=b"\x01\x00"):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    size = struct.pack("<H" if version[0] == 1 else "<I", len(header))
    return b"\x93NUMPY" + version + size + header + content


@pytest.mark.parametrize(
    ("masks", "found"),
    [
        (npy((10**12, 3)), "0 bytes for float64"),
        (npy((2, 2), bytes(24)), "24 bytes"),
        (npy((2, 2), bytes(40)), "40 bytes"),
        (npy((-2, -2), bytes(32)), "32 bytes"),
        (npy((2**40, 2**40, 0)), "shape"),
        (npy((2, 2), bytes(32), version=b"\x07\x00"), ""),
        (npy((2, 2), bytes(32), version=b"\x03\x00"), "version"),
        (npy((2, 2), bytes(32), kind="<U0"), "type <U0"),
        (npy((2, 2), bytes(32), kind="__import__"), ""),
        (npy("(2, 2)" + "(" * 300, bytes(32)), ""),
        (npy("(2, 2), " + "'x': 0, " * 2000, bytes(32)), ""),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", ""),
        (b"\x93NUM", ""),
        (b"", ""),
        (pickle.dumps([[1.0]]), ""),
    ],
    ids=range(15),
)
def test_a_header_that_lies_or_makes_no_sense_is_refused(masks, found):
    data = zipped(masks__npy=masks, values__npy=npy((2,), bytes(16)))
    assert found in refusal(data, "t.npz").found


def test_a_small_archive_of_a_huge_array_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setenv("KERNELSM_MAX_UNPACKED_MEGABYTES", "4")
    data = zipped(masks__npy=npy((200_000, 12), bytes(19_200_000)), values__npy=npy((2,), bytes(16)))
    assert len(data) < 2**16
    assert refusal(data, "bomb.npz").found == "at least 19 MiB when unpacked"
    # what unpacks to little, but is much as the numbers that it stands for
    data = zipped(masks__npy=npy((200_000, 10), bytes(2_000_000), kind="|u1"), values__npy=npy((2,), bytes(16)))
    assert refusal(data, "bomb.npz").found == "16 MiB when unpacked"


def test_odd_archives_are_refused():
    good = {"masks__npy": npy((2, 1), struct.pack("<2d", 1, 0)), "values__npy": npy((2,), struct.pack("<2d", 3, 4))}
    assert Outcomes.from_bytes(zipped(**good), "t.npz").values.tolist() == [[3], [4]]
    buffer = io.BytesIO(zipped(**good))
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("masks.npy", good["masks__npy"])
    assert "twice" in refusal(buffer.getvalue(), "t.npz").found
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in good.items():
            archive.writestr(name.replace("__", "."), content)
    assert "compressed" in refusal(buffer.getvalue(), "t.npz").found
    assert "unknown" in refusal(zipped(**good, readme__txt=b"hello"), "t.npz").found
    assert "unknown" in refusal(zipped(**good, **{"../evil__npy": b"hello"}), "t.npz").found
    many = zipped(**good, **{f"x{i}": b"" for i in range(3000)})
    assert refusal(many, "t.npz").found == "more than 2,000 files"
    array = io.BytesIO()
    np.save(array, np.ones((2, 2)))
    assert "no zip archive" in refusal(array.getvalue(), "t.npz").found


@pytest.mark.parametrize("kept", [0.0, 0.05, 0.3, 0.7, 0.97, 0.999])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_truncated_archive_is_refused(kept, compressed):
    whole = npz(compressed, masks=np.eye(30, dtype=bool), values=np.arange(30.0))
    refusal(whole[: int(kept * len(whole))], "t.npz")


def test_a_changed_number_in_an_archive_is_noticed():
    data = bytearray(npz(masks=MASKS, values=VALUES))
    place = data.index(struct.pack("<d", 0.125))
    data[place] ^= 1
    assert "CRC" in refusal(bytes(data), "t.npz").found
