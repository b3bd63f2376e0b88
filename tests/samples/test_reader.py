"""Files of samples: each format comes back as it was written."""

import io
import json
import tempfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sample_files import CLASSES, REVIEWS, npz, parquet, saved, zipped

from kernelsm import InputError
from kernelsm.samples.reader import FORMATS, preview_samples, read_samples


def columns_of(samples):
    return {name: samples.values(name).tolist() for name in samples.names}


def test_the_formats_are_those_promised():
    assert FORMATS == (".csv", ".tsv", ".xlsx", ".parquet", ".jsonl", ".ndjson", ".json", ".npz", ".zip")


# ---- tables of text


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "T.CSV"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_csv_is_read_whatever_its_delimiter_line_ends_and_mark(read, name, delimiter, end, bom):
    rows = [["name", " score ", "ok"], ["zoë", "0.5", "true"], ['"a, b; c\td"', "2", "False"]]
    samples = read((bom + end.join(map(delimiter.join, rows)) + end).encode(), name)
    assert columns_of(samples) == {"name": ["zoë", "a, b; c\td"], "score": [0.5, 2.0], "ok": [True, False]}


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "-2", "30"], "whole", [1, -2, 30]),
        (["1", "2.5", "1e3"], "number", [1.0, 2.5, 1000.0]),
        (["1", "inf", "-inf"], "number", [1.0, np.inf, -np.inf]),
        (["1", "", "NA"], "whole", [1.0, np.nan, np.nan]),
        (["007", "08", "9"], "whole", [7, 8, 9]),
        (["1", "2", "three"], "text", ["1", "2", "three"]),
        (["1", "NA", "three"], "text", ["1", "NA", "three"]),
        (["007", "08", "x"], "text", ["007", "08", "x"]),
        (["true", "1", "0"], "text", ["true", "1", "0"]),
        (["a", '""', "b"], "text", ["a", None, "b"]),
        (["2030-01-31", "2030-02-01", "2030-02-02"], "text", ["2030-01-31", "2030-02-01", "2030-02-02"]),
        (["2030-01-31 10:00", "x", "12:30"], "text", ["2030-01-31 10:00", "x", "12:30"]),
        (["10:00", "11:00", "12:30"], "text", ["10:00", "11:00", "12:30"]),
        (['"two\nlines"', '"a ""quoted"" word"', "x"], "text", ["two\nlines", 'a "quoted" word', "x"]),
        (['a 5" pipe', "it's", "x"], "text", ['a 5" pipe', "it's", "x"]),
        (['"1,5"', '"2,5"', '"3"'], "text", ["1,5", "2,5", "3"]),
        (["", "NA", "null"], "empty", [None] * 3),
    ],
)
def test_the_type_of_a_column_is_that_of_all_its_values(read, cells, kind, values):
    samples = read(("id,x\n" + "".join(f"r,{cell}\n" for cell in cells)).encode(), "t.csv")
    assert samples.kind("x") == kind
    found = samples.values("x")
    np.testing.assert_array_equal(found, np.array(values, dtype=found.dtype))


def test_a_decimal_comma_is_read_where_semicolons_part_the_columns(read):
    samples = read(b"x;y\n1,5;a\n-2,25;b\n", "t.csv")
    assert columns_of(samples) == {"x": [1.5, -2.25], "y": ["a", "b"]}


@pytest.mark.parametrize("late", ["x", "0.5", "true", "2030-01-01", ""])
def test_a_value_far_down_may_change_the_type_of_its_column(read, late, monkeypatch):
    monkeypatch.setattr("kernelsm.files.csv_tables.BLOCK", 256)
    rows = [*("1,2,,w" for _ in range(300)), f"{late},2,7,w"]
    samples = read(("a,b,c,d\n" + "\n".join(rows) + "\n").encode(), "t.csv")
    kinds = {"x": "text", "0.5": "number", "true": "text", "2030-01-01": "text", "": "whole"}
    assert [samples.kind(column) for column in "abcd"] == [kinds[late], "whole", "whole", "text"]
    assert samples.rows == 301
    expected = {"x": "x", "0.5": 0.5, "true": "true", "2030-01-01": "2030-01-01"}
    if late:
        assert samples.values("a")[-1] == expected[late]
        assert str(samples.values("a")[0]) in ("1", "1.0")
    assert samples.missing("c") == 300


def test_quoted_newlines_survive_the_cut_into_blocks(read, monkeypatch):
    monkeypatch.setattr("kernelsm.files.csv_tables.BLOCK", 200)
    monkeypatch.setattr("kernelsm.files.csv_dialect._BLOCK", 3)
    texts = [f'line {i}\nand "more", {"x" * (i % 40)}' for i in range(200)]
    frame = pd.DataFrame({"text": texts, "label": range(200)})
    samples = read(frame.to_csv(index=False).encode(), "t.csv")
    assert columns_of(samples) == {"text": texts, "label": list(range(200))}


def test_blank_lines_are_no_rows(read):
    assert read(b"\n\na,b\n\n1,2\n\n\n3,4\n\n", "t.csv").rows == 2


def test_a_preview_reads_the_beginning_only(tmp_path):
    path = tmp_path / "t.csv"
    with path.open("w") as file:
        file.write("x,text\n")
        file.writelines(f'{i},"row\n{i}"\n' for i in range(400_000))
        file.write("1\n")  # what is wrong further down is not seen
    preview = preview_samples(path)
    assert preview.rows is None
    assert preview.samples.rows == 1000
    assert preview.samples.values("x").tolist() == list(range(1000))
    with pytest.raises(InputError, match="row 400,001"):
        read_samples(path)


# ---- JSON lines


def test_json_lines_come_back(read):
    lines = [
        {"text": "a\nb", "x": 1, "y": 1, "ok": True, "image": [[1, 2], [3, 4]], "only": None},
        {"text": "ü", "x": 2, "y": 0.5, "ok": None, "image": [[5, 6], [7, 8.5]]},
        {"x": -(2**40), "y": None, "ok": False, "image": [[0, 0], [0, 0]], "late": "z"},
    ]
    text = "\ufeff" + "\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    samples = read(text.encode(), "t.jsonl")
    assert samples.values("text").tolist() == ["a\nb", "ü", None]
    assert samples.values("x").tolist() == [1, 2, -(2**40)]
    np.testing.assert_array_equal(samples.values("y"), [1, 0.5, np.nan])
    np.testing.assert_array_equal(samples.values("ok"), [1, np.nan, 0])
    assert samples.values("image").tolist() == [line["image"] for line in lines]
    assert samples.kind("only") == "empty"
    assert samples.values("late").tolist() == [None, None, "z"]


def test_many_json_lines_are_joined_from_blocks(read, monkeypatch):
    monkeypatch.setattr("kernelsm.files.json_tables._LINES", 7)
    lines = [{"i": i if i < 50 else i + 0.5, "v": [i, 0]} | ({"late": "x"} if i > 60 else {}) for i in range(100)]
    samples = read("\n".join(map(json.dumps, lines)).encode(), "t.ndjson")
    assert samples.kind("i") == "number"
    assert samples.values("i")[[0, 99]].tolist() == [0.0, 99.5]
    assert samples.values("v").shape == (100, 2)
    assert samples.missing("late") == 61


# ---- Parquet


def test_parquet_comes_back(read):
    columns = {
        "x": pa.array([1, None, 3], pa.int16()),
        "y": pa.array([0.5, float("nan"), None]),
        "money": pa.array([1, 2, 3]).cast(pa.decimal128(30, 2)),
        "ok": pa.array([True, False, None]),
        "text": pa.array(["", "b", None]),
        "words": pa.array(["u", "v", "u"]).dictionary_encode(),
        "codes": pa.array([5, 6, 5]).dictionary_encode(),
        "day": pa.array([0, 1, 2], pa.date32()),
        "tokens": pa.array([[1, 2], [3, 4], [5, 6]]),
        "image": pa.array([[[0.5], [None]]] * 3),
        "fixed": pa.array([[True, False]] * 3, pa.list_(pa.bool_(), 2)),
        "nothing": pa.nulls(3),
    }
    samples = read(parquet(columns), "t.parquet")
    kinds = "whole number number boolean text text whole text array array array empty"
    assert [samples.kind(column) for column in samples.names] == kinds.split()
    assert samples.values("text").tolist() == ["", "b", None]
    assert samples.values("words").tolist() == ["u", "v", "u"]
    assert samples.values("codes").tolist() == [5, 6, 5]
    assert samples.values("day").tolist() == ["1970-01-01", "1970-01-02", "1970-01-03"]
    assert samples.values("money").tolist() == [1.0, 2.0, 3.0]
    assert samples.values("tokens").tolist() == [[1, 2], [3, 4], [5, 6]]
    assert samples.values("image").shape == (3, 2, 1)
    assert np.isnan(samples.values("image")).sum() == 3
    assert samples.values("fixed").tolist() == [[True, False]] * 3


def test_class_numbers_get_the_names_that_stand_in_the_file(read):
    schema = pa.schema([("label", pa.int64())], {"huggingface": json.dumps({"info": {"features": CLASSES}})})
    samples = read(parquet(pa.table([[1, 0, -1]], schema=schema)), "t.parquet")
    assert samples.values("label").tolist() == ["pos", "neg", None]


def test_a_frame_of_pandas_comes_back(read):
    frame = pd.DataFrame({"a": [1, 2], "b": pd.Categorical(["x", "y"]), "c": ["é", None]}, index=[5, 6])
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    assert columns_of(read(buffer.getvalue(), "t.parquet")) == {"a": [1, 2], "b": ["x", "y"], "c": ["é", None]}


# ---- arrays


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f2", "f8", "longdouble", "u1", ">i8", "?", "i4"])
def test_arrays_come_back(read, kind):
    x = (np.arange(5 * 4 * 3).reshape(5, 4, 3) % 7).astype(kind)
    y = np.array(["a", "bb", "ü", "", "e"])
    samples = read(npz(x=x, f=np.asfortranarray(x), y=y, z=x[:, 0, 0]), "t.npz")
    assert samples.kind("x") == "array"
    for column in "xf":
        np.testing.assert_array_equal(samples.values(column), x)
        assert samples.values(column).dtype.isnative
    assert samples.values("y").tolist() == y.tolist()
    np.testing.assert_array_equal(samples.values("z"), x[:, 0, 0])


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_preview_of_arrays_is_their_beginning(tmp_path, order):
    x = np.random.default_rng(0).random((3000, 4))
    np.savez(tmp_path / "t.npz", x=np.asarray(x, order=order), y=np.arange(3000))
    preview = preview_samples(tmp_path / "t.npz")
    assert preview.rows == 3000
    np.testing.assert_array_equal(preview.samples.values("x"), x[:1000])


@pytest.mark.parametrize(
    ("train", "test", "split"),
    [("x_train y_train", "x_test y_test", "test"), ("train_x train_y", "val_x val_y", "validation")],
)
def test_arrays_named_for_training_and_testing_are_one_table(read, train, test, split):
    x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    arrays = dict(zip(train.split() + test.split(), [x[:3], y[:3], x[3:], y[3:]], strict=True))
    samples = read(npz(**arrays), "t.npz")
    assert samples.names == ("x", "y", "split")
    assert samples.values("split").tolist() == ["train"] * 3 + [split] * 2
    np.testing.assert_array_equal(samples.values("x"), x)
    assert samples.values("y").tolist() == [0, 1, 2, 3, 4]


def test_one_name_with_train_in_it_is_no_split(read):
    assert read(npz(train_loss=np.arange(3), y=np.arange(3)), "t.npz").names == ("train_loss", "y")


# ---- folders


@pytest.mark.parametrize("wrap", ["", "my dataset/", "a/b/"])
@pytest.mark.parametrize("files", [1, 3])
def test_a_saved_dataset_comes_back_with_the_names_of_its_classes(read, wrap, files):
    data = saved(REVIEWS, CLASSES, files, place=wrap)
    samples = read(zipped({**data, "__MACOSX/._x": b"junk", ".DS_Store": b"junk"}), "d.zip")
    assert columns_of(samples) == {"text": REVIEWS["text"], "label": ["pos", "neg", "pos", "neg", None]}


def test_a_dictionary_of_saved_datasets_is_one_table_with_a_split(read):
    files = {"d/dataset_dict.json": json.dumps({"splits": ["train", "test"]})}
    files |= saved(REVIEWS, CLASSES, 2, "d/train/")
    files |= saved({"text": ["new"], "label": [0]}, CLASSES, place="d/test/")
    samples = read(zipped(files), "d.zip")
    assert samples.values("text").tolist() == [*REVIEWS["text"], "new"]
    assert samples.values("label").tolist() == ["pos", "neg", "pos", "neg", None, "neg"]
    assert samples.values("split").tolist() == ["train"] * 5 + ["test"]


@pytest.mark.parametrize(
    "names",
    [
        ("train.parquet", "test.parquet"),
        ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001-abc.parquet"),
        ("default/train/0000.parquet", "default/test/0000.parquet"),
        ("reviews_train.parquet", "reviews-test.parquet"),
        ("Training.parquet", "evaluation.parquet"),
    ],
)
def test_tables_laid_out_by_split_are_one_table(read, names):
    tables = [parquet({"x": [1, 2], "y": ["a", "b"]}), parquet({"x": [0.5], "y": ["c"]})]
    samples = read(zipped({**dict(zip(names, tables, strict=True)), "README.md": "# hello"}), "d.zip")
    order = samples.values("split").tolist()
    assert sorted(order) == ["test", "train", "train"]
    assert dict(zip(samples.values("x").tolist(), order, strict=True)) == {1.0: "train", 2.0: "train", 0.5: "test"}


@pytest.mark.parametrize(
    ("ending", "write"),
    [
        ("csv", lambda x: f"x\n{x}\n"),
        ("tsv", lambda x: f"x\ty\n{x}\tz\n"),
        ("jsonl", lambda x: f'{{"x": {x}}}\n'),
        ("parquet", lambda x: parquet({"x": [x]})),
    ],
)
def test_pieces_of_a_table_are_stacked(read, ending, write):
    samples = read(zipped({f"part-{x}.{ending}": write(x) for x in (1, 2, 3)}), "d.zip")
    assert samples.values("x").tolist() == [1, 2, 3]
    assert "split" not in samples.names


def test_a_folder_is_read_as_an_archive_of_it_would_be(tmp_path):
    for name, content in saved(REVIEWS, CLASSES).items():
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    assert read_samples(tmp_path, "mine").values("label").tolist() == ["pos", "neg", "pos", "neg", None]


def test_the_preview_of_an_archive_shows_every_split(tmp_path):
    files = {f"{split}.parquet": parquet({"x": range(3000)}) for split in ("train", "test")}
    (tmp_path / "d.zip").write_bytes(zipped(files))
    preview = preview_samples(tmp_path / "d.zip")
    assert preview.rows == 6000
    assert preview.samples.rows == 1000
    assert preview.samples.distinct("split") == ["test", "train"]


def test_an_archive_leaves_nothing_in_the_folder_for_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "good.zip").write_bytes(zipped({"train.csv": "x\n1\n"}))
    (tmp_path / "bad.zip").write_bytes(zipped({"train.csv": "x,y\n1\n"}))
    read_samples(tmp_path / "good.zip")
    with pytest.raises(InputError):
        read_samples(tmp_path / "bad.zip")
    assert list((tmp_path / "temporary").iterdir()) == []


def test_text_stacks_whether_its_words_are_held_once_or_not(read):
    plain, words, none = pa.array(["a", None]), pa.array(["b", "a"]).dictionary_encode(), pa.nulls(1)
    files = {f"part-{i}.parquet": parquet({"x": column}) for i, column in enumerate([none, words, plain, words])}
    assert read(zipped(files), "d.zip").values("x").tolist() == [None, "b", "a", "a", None, "b", "a"]
