"""Wrong files of samples: each is refused with its name and what is wrong, and nothing in it is run."""

import json
import pickle
import random
import stat
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sample_files import CLASSES, REVIEWS, arrow, npy, npz, parquet, saved, zipped

from kernelsm import InputError
from kernelsm.files.limits import Limits
from kernelsm.samples.reader import preview_samples, read_samples

SMALL = Limits(megabytes=2, unpacked_megabytes=4, files=20, rows=500, columns=50)


class Touch:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


# ---- wrong files: name, content, where the message points to, what it says was found

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
HTML = b"\n<!DOCTYPE html><html><body>404</body></html>"
DATASET = saved(REVIEWS, CLASSES)
NAMED = {"label": {"names": ["only"], "_type": "ClassLabel"}}


def with_state(**state):
    return zipped({**DATASET, "state.json": json.dumps(state)})


def raw_npz(header, data=b""):
    """A .npz whose only array has a header of one's own making."""
    text = f"{header}\n".encode()
    return zipped({"x.npy": b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data})


WRONG = [
    # endings
    ("t.pkl", pickle.dumps([1]), "t.pkl", "a pickle"),
    ("t.pickle", b"x", "t.pickle", "a pickle"),
    ("model.pt", b"x", "model.pt", "a pickle"),
    ("model.PTH", b"x", "model.PTH", "a pickle"),
    ("t.joblib", b"x", "t.joblib", "a pickle"),
    ("pytorch_model.bin", b"x", "pytorch_model.bin", "a pickle"),
    ("x.npy", npy(np.arange(3)), "x.npy", "'.npy'"),
    ("t.json", b"[]", "t.json", "no row"),
    ("t.xlsx", b"x", "t.xlsx", "no sign of a spreadsheet"),
    ("t.xls", b"x", "t.xls", "'.xls'"),
    ("t.csv.gz", b"x", "t.csv.gz", "no sign of a gzip archive"),
    ("t.npz.gz", b"x", "t.npz.gz", "'.gz'"),
    ("noending", b"x", "noending", "'(none)'"),
    (".csv", b"x", ".csv", "'(none)'"),
    # contents that are not what the ending says
    ("t.csv", b"", "t.csv", "empty file"),
    ("t.npz", b"", "t.npz", "empty file"),
    ("t.csv", parquet({"x": [1]}), "t.csv", "Parquet"),
    ("t.csv", HTML, "t.csv", "web page"),
    ("t.parquet", HTML, "t.parquet", "web page"),
    ("t.jsonl", HTML, "t.jsonl", "web page"),
    ("t.npz", PNG, "t.npz", "PNG"),
    ("t.csv", b'[{"a": 1}]', "t.csv", "JSON"),
    ("t.csv", zipped({"[Content_Types].xml": "x", "xl/workbook.xml": "x"}), "t.csv", "spreadsheet"),
    ("t.zip", zipped({"[Content_Types].xml": "x", "xl/workbook.xml": "x"}), "t.zip", "spreadsheet"),
    ("t.npz", zipped({"archive/data.pkl": pickle.dumps([1])}), "t.npz", "pickle"),
    ("t.npz", pickle.dumps({"x": 1}), "t.npz", "pickle"),
    ("t.npz", npy(np.arange(3)), "t.npz", "single NumPy array"),
    ("t.npz", zipped({"train.csv": "x\n1\n"}), "t.npz", "zip archive"),
    ("t.zip", npz(x=np.arange(3)), "t.zip", "NumPy archive"),
    ("t.parquet", b"x,y\n1,2\n", "t.parquet", "no sign of a Parquet file"),
    ("t.zip", b"Rar!\x1a\x07\x00", "t.zip", "RAR"),
    ("t.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "t.csv", "Git LFS"),
    ("t.csv", b"SQLite format 3\0", "t.csv", "SQLite"),
    # tables of text
    ("t.csv", "x\nzoë".encode()[:-1], "t.csv", "not UTF-8 at position 4"),
    ("t.csv", b"x,y\n1,a\0b\n", "t.csv", "NUL byte at position 7"),
    ("t.csv", b"x,y\n1,2\n3\n", "t.csv, row 2", "1 cell"),
    ("t.csv", b"x,y\n1,2\n\n3,4,5\n", "t.csv, row 2", "3 cells"),
    ("t.csv", b'x,y\n"a\nb",2\n3,4\n5\n', "t.csv, row 3", "1 cell"),
    ("t.csv", b'x;y\n"a;b";2\n3;4;5\n', "t.csv, row 2", "3 cells"),
    ("t.csv", b"x,x\n1,2\n", "t.csv, header, column 2", "'x' again"),
    ("t.csv", b"x, x \n1,2\n", "t.csv, header, column 2", "'x' again"),
    ("t.csv", b"x, \n0,2\n", "t.csv, header, column 2", "no name"),
    ("t.csv", b"x,y\n", "t.csv", "no row"),
    ("t.csv", b"x,y", "t.csv", "no row"),
    ("t.csv", b"\n \n\n", "t.csv", ""),
    ("t.csv", b"5.1,3.5,0\n4.9,3.0,1\n", "t.csv, header", "numbers"),
    ("t.csv", b'x,y\n1,"a\n2,b\n3,c\n', "t.csv, row 1", "not closed"),
    ("t.csv", b'x,y\n1,"a\n2,"b"\n3,c\n', "t.csv, row 1", "closing quote"),
    ("t.csv", b'x,y\n0,z\n1,"a" b\n', "t.csv, row 2", "closing quote"),
    ("t.csv", b'x,y\n0,a\\b\n1,"say \\"hi\\""\n', "t.csv, row 2", "backslashes that do not all"),
    ("t.csv", b'x,y\n0,"a""b"\n1,"say \\"hi\\""\n', "t.csv, row 2", "closing quote"),
    ("t.csv", b'x,y\n0,z\n1, "a"\n2,"say "hi""\n', "t.csv, row 2", "a blank before a quote"),
    ("t.csv", b'x,y\n0,z\n1, "a, b"\n', "t.csv, row 2", "a blank before a quote"),
    ("t.csv", "x,y\nzoë,1\né\xe9,2\n".encode()[:-4] + b"\xe9,2\n", "t.csv", "not UTF-8 at position"),
    ("t.csv", b"x,y\n\x90\x02,1\n", "t.csv", "not UTF-8 at position 4"),
    ("t.csv", b'"x\n1\n2\n', "t.csv, header", "not closed"),
    ("t.csv", b"x\n" + b"1\n" * 501, "t.csv", "more than 500 rows"),
    ("t.csv", ",".join(map(str, range(51))).encode() + b"\n" + b"1," * 50 + b"1\n", "t.csv, header", "51 columns"),
    ("t.csv", b"x\n" + b"a" * 2 * 2**20, "t.csv", "3 MiB"),
    # JSON lines
    ("t.jsonl", b'[{"x": 1}, {"x": 2}]', "t.jsonl, line 1", "JSON list"),
    ("t.jsonl", b'[\n {"x": 1}\n]', "t.jsonl, line 1", "no JSON"),
    ("t.jsonl", b'{"x": 1}\n{"x": 2\n', "t.jsonl, line 2", "no JSON"),
    ("t.jsonl", b'{\n "x": 1\n}\n', "t.jsonl, line 1", "no JSON"),
    ("t.jsonl", b'{"x": 1}\n\n5\n', "t.jsonl, line 3", "JSON value"),
    ("t.jsonl", b'{"x": 1}\n{"x": {"y": 2}}\n', "t.jsonl, line 2, field 'x'", "nested object"),
    ("t.jsonl", b'{"x": 1}\n{"x": "two"}\n', "t.jsonl, line 2, field 'x'", "text"),
    ("t.jsonl", b'{"x": true}\n{"x": 1}\n', "t.jsonl, line 2, field 'x'", "a whole number"),
    ("t.jsonl", b'{"x": 1, "x": 2}\n', "t.jsonl, line 1", "'x' twice"),
    ("t.jsonl", b'{"": 1}\n', "t.jsonl, header, column 1", "no name"),
    ("t.jsonl", b'{"x": [1, 2]}\n{"x": [1]}\n', "t.jsonl, line 2, field 'x'", "a list of 1"),
    ("t.jsonl", b'{"x": [[1], [2, 3]]}\n', "t.jsonl, line 1, field 'x'", "list"),
    ("t.jsonl", b'{"x": [1]}\n{"x": null}\n', "t.jsonl, line 2, field 'x'", "no list"),
    ("t.jsonl", b'{"x": ["a"]}\n', "t.jsonl, line 1, field 'x'", "something else than numbers"),
    ("t.jsonl", b'{"x": [1, null]}\n', "t.jsonl, line 1, field 'x'", "something else than numbers"),
    ("t.jsonl", b'{"x": []}\n', "t.jsonl, line 1, field 'x'", "something else than numbers"),
    ("t.jsonl", b'{"x": ' + b"9" * 5000 + b"}\n", "t.jsonl, line 1", "no JSON"),
    ("t.jsonl", b'{"x": "\\ud800"}\n', "t.jsonl, line 1, field 'x'", "surrogate"),
    ("t.jsonl", b'{"x": ' + b"[" * 100_000 + b"\n", "t.jsonl, line 1", ""),
    ("t.jsonl", b'{"x": "\xff\x01"}\n', "t.jsonl", "not UTF-8 at position 7"),
    ("t.jsonl", b"{}\n{}\n", "t.jsonl", "without a field"),
    ("t.jsonl", b"\n \n", "t.jsonl", "no line"),
    ("t.jsonl", b'{"x": 1}\n' * 501, "t.jsonl", "more than 500 rows"),
    ("t.jsonl", json.dumps({str(i): i for i in range(51)}).encode(), "t.jsonl, line 1", "more than 50 fields"),
    # Parquet
    ("t.parquet", parquet({"x": [1, 2, 3]})[:-20], "t.parquet", "damaged"),
    ("t.parquet", b"PAR1" + bytes(100) + b"PAR1", "t.parquet", "damaged"),
    ("t.parquet", parquet({"x": [b"\x89PNG"]}), "t.parquet, column 'x'", "bytes"),
    ("t.parquet", parquet({"x": [{"bytes": b"", "path": "a"}]}), "t.parquet, column 'x'", "pictures"),
    ("t.parquet", parquet({"x": [{"a": 1}]}), "t.parquet, column 'x'", "struct"),
    ("t.parquet", parquet({"x": [[1, 2], [3]]}), "t.parquet, column 'x', row 2", "a list of 1"),
    ("t.parquet", parquet({"x": [[[1], [2]], [[3], [4, 5]]]}), "t.parquet, column 'x', row 2", "a list of 2"),
    ("t.parquet", parquet({"x": [[1, 2], None]}), "t.parquet, column 'x', row 2", "no list"),
    ("t.parquet", parquet({"x": [[1, 2], [3, None]]}), "t.parquet, column 'x', row 2", "missing value"),
    ("t.parquet", parquet({"x": [["a"], ["b"]]}), "t.parquet, column 'x'", "lists of string"),
    ("t.parquet", parquet({"x": [[], []]}), "t.parquet, column 'x', row 1", "empty list"),
    ("t.parquet", parquet({"x": pa.array([], pa.int64())}), "t.parquet", "no row"),
    ("t.parquet", parquet(pa.table([[1], [2]], names=["x", "x"])), "t.parquet, header, column 2", "'x' again"),
    ("t.parquet", parquet({"": [1]}), "t.parquet, header, column 1", "no name"),
    ("t.parquet", parquet({"x": np.zeros(501)}), "t.parquet", "more than 500 rows"),
    ("t.parquet", parquet({str(i): [1] for i in range(51)}), "t.parquet", "51 columns"),
    ("t.parquet", parquet({"x": np.zeros((400, 2000)).tolist()}), "t.parquet", "MiB"),
    ("t.parquet", parquet({"x": ["long" * 10_000] * 400}), "t.parquet", "MiB"),
    # arrays
    ("t.npz", npz(x=np.array([1, "a", None], dtype=object)), "t.npz, array 'x'", "pickle"),
    ("t.npz", npz(x=np.arange(3), y=np.array(5)), "t.npz, array 'y'", "single value"),
    ("t.npz", npz(x=np.zeros((4, 2)), y=np.arange(4), names=np.array(["a", "b"])), "t.npz, array 'names'",
     "2 entries"),
    ("t.npz", npz(x=np.arange(3), y=np.arange(4)), "t.npz, array 'y'", "4 entries"),
    ("t.npz", npz(x_train=np.arange(3), y_train=np.arange(4), x_test=np.arange(1), y_test=np.arange(1)),
     "t.npz, array 'y_train'", "4 entries"),
    ("t.npz", npz(x_train=np.zeros((3, 2)), x_test=np.zeros((3, 4))), "t.npz, test, column 'x'", "(4,)"),
    ("t.npz", npz(x_train=np.arange(3), x_test=np.array(list("abc"))), "t.npz, test, column 'x'", "text"),
    ("t.npz", npz(split_train=np.arange(3), split_test=np.arange(3)), "t.npz, column 'split'", "of this name"),
    ("t.npz", npz(x=np.array([b"a"])), "t.npz, array 'x'", "bytes"),
    ("t.npz", npz(x=np.array([1j])), "t.npz, array 'x'", "complex"),
    ("t.npz", npz(x=np.array(["2030-01-01"], dtype="M8[D]")), "t.npz, array 'x'", "dates"),
    ("t.npz", npz(x=np.zeros(3, dtype=[("a", "f4"), ("b", "i4")])), "t.npz, array 'x'", "records"),
    ("t.npz", npz(x=np.array([["a", "b"]])), "t.npz, array 'x'", "several axes"),
    ("t.npz", npz(x=np.zeros((3, 0))), "t.npz, array 'x'", "shape (3, 0)"),
    ("t.npz", npz(x=np.arange(501)), "t.npz", "more than 500 rows"),
    ("t.npz", npz(x=np.zeros((5, 2**18))), "t.npz", "MiB when unpacked"),
    ("t.npz", npz(**{str(i): np.arange(2) for i in range(21)}), "t.npz", "more than 20 files"),
    ("t.npz", npz(x=np.arange(9))[:-30], "t.npz", "no zip archive"),
    ("t.npz", zipped({"x.npy": npy(np.arange(9)), "run.py": "print()"}), "t.npz, entry 'run.py'", "no array"),
    ("t.npz", zipped({"x.npy": npy(np.arange(9))[:-8]}), "t.npz, array 'x'", "bytes for int64 of shape (9,)"),
    ("t.npz", zipped({"x.npy": b"text"}), "t.npz, array 'x'", "damaged header"),
    ("t.npz", raw_npz("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"), "t.npz, array 'x'", "shape"),
    ("t.npz", raw_npz("{'descr': '<f8', 'fortran_order': False, 'shape': (9**9999,), }"), "t.npz, array 'x'",
     "damaged"),
    ("t.npz", raw_npz("{'descr': '<f8', 'fortran_order': False, 'shape': (10**12,), }"), "t.npz, array 'x'",
     "damaged"),
    ("t.npz", raw_npz(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**12},), }}"), "t.npz, array 'x'",
     "0 bytes"),
    ("t.npz", raw_npz("__import__('os').mkdir('evil')"), "t.npz, array 'x'", "damaged header"),
    ("t.npz", raw_npz("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }", b"\xff" * 4), "t.npz, array 'x'",
     "letters"),
    # archives and folders
    ("t.zip", zipped({"a/cat.png": PNG, "a/dog.png": PNG}), "t.zip", "2 .png"),
    ("t.zip", zipped({}), "t.zip", "no table"),
    ("t.zip", zipped({"../train.csv": "x\n1\n"}), "t.zip, entry '../train.csv'", "'..'"),
    ("t.zip", zipped({"x.pkl": b"x"}), "t.zip", "1 .pkl"),
    ("t.zip", zipped({"train.csv": "x\n1\n", "test.jsonl": '{"x": 1}'}), "t.zip", "several formats"),
    ("t.zip", zipped({"train.csv": "x\n1\n", "more.csv": "x\n1\n"}), "t.zip/more.csv", "without a split"),
    ("t.zip", zipped({"train.csv": "x,y\n1,2\n", "test.csv": "x\n1\n"}), "t.zip, t", "column 'y'"),
    ("t.zip", zipped({"train.csv": "x\n1\n", "test.csv": "x\na\n"}), "t.zip, t", "type"),
    ("t.zip", zipped({"train.csv": "split\n1\n", "test.csv": "split\n1\n"}), "t.zip, column 'split'", "of this name"),
    ("t.zip", zipped({"in/train.csv": "x,y\n1\n"}), "t.zip/train.csv, row 1", "1 cell"),
    ("t.zip", zipped({"train.csv": "x\n" + "1\n" * 300, "test.csv": "x\n" + "1\n" * 300}), "t.zip",
     "more than 500 rows"),
    ("t.zip", zipped({**DATASET, "state.json": "{"}), "t.zip/state.json", "no JSON"),
    ("t.zip", zipped({**DATASET, "state.json": "[]"}), "t.zip/state.json", "a JSON list"),
    ("t.zip", zipped({**DATASET, "state.json": "[" * 100_000}), "t.zip/state.json", "no JSON"),
    ("t.zip", with_state(), "t.zip/state.json", "no data file"),
    ("t.zip", with_state(_data_files=[{"filename": "gone.arrow"}]), "t.zip/state.json", "'gone.arrow'"),
    ("t.zip", with_state(_data_files=[{"filename": "../../../etc/passwd"}]), "t.zip/state.json", "passwd"),
    ("t.zip", with_state(_data_files=[{"filename": "/etc/passwd"}]), "t.zip/state.json", "passwd"),
    ("t.zip", with_state(_data_files=[5]), "t.zip/state.json", "None"),
    ("t.zip", zipped({"dataset_dict.json": '{"splits": ["../.."]}'}), "t.zip/dataset_dict.json", "'../..'"),
    ("t.zip", zipped({"dataset_dict.json": '{"splits": []}'}), "t.zip/dataset_dict.json", "[]"),
    ("t.zip", zipped({"dataset_dict.json": '{"splits": ["train"]}', "train/x": ""}), "t.zip/train/state.json",
     "no such file"),
    ("t.zip", zipped({"dataset_dict.json": '{"splits": ["train"]}', "train": ""}), "t.zip/train/state.json",
     "no such file"),
    ("t.zip", zipped({**DATASET, "data-00000-of-00001.arrow": b"ARROW1 not a stream"}),
     "t.zip/data-00000-of-00001.arrow", "damaged"),
    ("t.zip", zipped({**DATASET, "data-00000-of-00001.arrow": arrow(REVIEWS)[:-200]}),
     "t.zip/data-00000-of-00001.arrow", "damaged"),
    ("t.zip", zipped(saved({"label": [0, 1]}, NAMED)), "t.zip/data-00000-of-00001.arrow, column 'label'", "class 1"),
    ("t.zip", zipped(saved({"label": ["a"]}, NAMED)), "t.zip/data-00000-of-00001.arrow, column 'label'",
     "no class numbers"),
    ("t.zip", zipped(saved({"label": [0]}, {"label": {"_type": "ClassLabel", "names": 3}})),
     "t.zip/data-00000-of-00001.arrow, column 'label'", "class names"),
    ("t.zip", zipped(saved({"x": [{"bytes": b"", "path": "a"}]})), "t.zip/data-00000-of-00001.arrow, column 'x'",
     "pictures"),
]  # fmt: skip


def attempt(look, path, name):
    """What a reader returns, or its one kind of error."""
    try:
        return look(path, name, SMALL)
    except InputError as error:
        return error


@pytest.mark.parametrize(("name", "data", "place", "found"), WRONG, ids=[f"{row[0]}-{row[3]}" for row in WRONG])
def test_a_wrong_file_is_refused_with_its_name_and_what_is_wrong(tmp_path, monkeypatch, name, data, place, found):
    monkeypatch.chdir(tmp_path)
    path = Path("stored")
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_samples(path, name, SMALL)
    error = caught.value
    assert error.place.startswith(place)
    assert found in error.found
    assert error.expected
    assert error.fix.endswith((".", "?"))
    assert len(str(error)) < 600
    assert str(tmp_path) not in str(error)
    assert "kernelsm-" not in str(error)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name != "cache"] == ["stored"]
    # the preview may not see it, but says nothing else about it
    again = attempt(preview_samples, path, name)
    assert not isinstance(again, InputError) or again.place.startswith(name)


@pytest.mark.parametrize("name", ["x", "x_train"])
@pytest.mark.parametrize("look", [read_samples, preview_samples])
def test_a_pickle_in_an_array_is_never_loaded(tmp_path, name, look):
    proof = tmp_path / "proof"
    array = np.array([Touch(proof)], dtype=object)
    (tmp_path / "t.npz").write_bytes(npz(**{name: array}))
    with pytest.raises(InputError, match="can run code"):
        look(tmp_path / "t.npz")
    assert not proof.exists()
    with np.load(tmp_path / "t.npz", allow_pickle=True) as archive:
        archive[name]
    assert proof.exists()  # it would have worked


def test_a_file_that_is_not_there_or_may_not_be_read_is_told(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"t\.csv: .*cannot be read"):
        read_samples(tmp_path / "t.csv")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "t.csv").write_text("x\n1\n")
    monkeypatch.setattr("kernelsm.files.accepting.looks_like", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        read_samples(tmp_path / "t.csv")


def test_a_lack_of_memory_is_told(tmp_path, monkeypatch):
    def refuse(*_):
        raise MemoryError

    (tmp_path / "t.npz").write_bytes(npz(x=np.arange(3)))
    monkeypatch.setattr("kernelsm.samples.reader.read_npz", refuse)
    with pytest.raises(InputError, match="memory"):
        read_samples(tmp_path / "t.npz")


def test_the_limits_are_those_of_the_environment(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("x\n1\n2\n")
    assert read_samples(tmp_path / "t.csv").rows == 2
    monkeypatch.setenv("KERNELSM_MAX_ROWS", "1")
    with pytest.raises(InputError, match="more than 1 rows"):
        read_samples(tmp_path / "t.csv")


def test_what_a_dataset_names_is_looked_for_in_its_folder_only(tmp_path):
    (tmp_path / "secret.arrow").write_bytes(arrow({"x": [1]}))
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "../secret.arrow"}]}))
    with pytest.raises(InputError, match=r"secret\.arrow"):
        read_samples(folder)


SEEDS = {
    "t.csv": b'a,b,c\n1,"x, ""y""\nz",0.5\n2,w,1e3\n',
    "t.jsonl": b'{"a": 1, "b": "x", "c": [1, 2]}\n{"a": null, "c": [3, 4]}\n',
    "t.parquet": parquet({"a": [1, 2], "b": ["x", None], "c": [[1.0, 2.0]] * 2}),
    "t.npz": npz(x=np.zeros((3, 2)), y=np.arange(3), z=np.array(["a", "b", "c"])),
    "t.zip": zipped(DATASET),
    "data.arrow": arrow({"a": [1, 2], "b": ["x", None], "c": [[1.0, 2.0]] * 2}),
    "x.npy": npy(np.array(["a", "bb"])),
}


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_bytes_end_in_samples_or_in_one_kind_of_error(tmp_path, name):
    draw = random.Random(name)
    for _ in range(150):
        data = bytearray(SEEDS[name])
        for _ in range(draw.choice([1, 1, 3])):
            at = draw.randrange(len(data))
            data[at : at + draw.choice([0, 1, 1, 4])] = draw.randbytes(draw.choice([0, 1, 1, 4]))
        folder = tmp_path / "d"
        folder.mkdir(exist_ok=True)
        path, called = folder / "data.arrow", "folder"
        if name == "x.npy":  # within an archive whose checksum is right
            path, called = folder / "t.npz", "t.npz"
            path.write_bytes(zipped({"x.npy": bytes(data)}))
        elif name != "data.arrow":
            path, called = folder / name, name
            path.write_bytes(data)
        else:
            path.write_bytes(data)
            path = folder
        found = attempt(read_samples, path, called)
        if isinstance(found, InputError):
            assert found.place.startswith(called)
        else:
            assert all(len(found.values(column)) == found.rows for column in found.names)


def test_files_from_an_archive_are_not_executable(tmp_path, monkeypatch):
    seen = []

    def look(folder, *_):
        seen.extend(path.stat().st_mode for path in folder.iterdir())
        raise InputError("t.zip", "a test", "none", "None.")

    info = zipfile.ZipInfo("train.csv")
    info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o4777) << 16
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr(info, "x\n1\n")
    monkeypatch.setattr("kernelsm.samples.reader.read_folder", look)
    with pytest.raises(InputError):
        read_samples(tmp_path / "t.zip")
    assert not any(mode & (stat.S_IXUSR | stat.S_ISUID) for mode in seen)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.jsonl", "\n".join(f'{{"field {i % 100}": 1}}' for i in range(3000))),
        ("t.zip", zipped({f"{i}.parquet": parquet({str(c): pa.nulls(3000) for c in range(100)}) for i in range(2)})),
        ("t.parquet", parquet({"x": pa.array(["long" * 1000] * 3000).dictionary_encode().cast(pa.string())})),
    ],
)
def test_what_is_small_in_the_file_is_counted_as_it_would_be_in_memory(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    assert path.stat().st_size < 2**20
    with pytest.raises(InputError, match="MiB in memory"):
        read_samples(path, limits=Limits(unpacked_megabytes=1))
