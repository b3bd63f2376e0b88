"""Files that are no table of outcomes: each is refused with the file, the row and the column that is wrong."""

import io
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernelsm import InputError, Outcomes


def parquet(columns, names=None):
    table = pa.Table.from_arrays(list(columns), names) if names else pa.table(columns)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def refusal(data, name):
    with pytest.raises(InputError) as caught:
        Outcomes.from_bytes(data, name)
    error = caught.value
    # the message alone must do: file, what was found, what is expected and a way out
    assert name in str(error)
    assert error.expected
    assert error.fix.endswith(".") or error.fix.endswith("?")
    return error


GOOD = b"task:a,task:b,target:loss\n1,0,0.5\n0,1,0.25\n1,1,0.125\n"


def test_the_unspoilt_table_is_read():
    outcomes = Outcomes.from_bytes(GOOD, "t.csv")
    assert outcomes.masks.tolist() == [[True, False], [False, True], [True, True]]
    assert outcomes.values[:, 0].tolist() == [0.5, 0.25, 0.125]


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("task:a,task:b\n1,0\n0,1\n", "t.csv, header", "no target column"),
        ("a,b,target:loss\n1,0,2\n0,1,3\n", "t.csv, header", "no task column"),
        ("task:a,id,target:loss\n1,7,2\n0,8,3\n", "t.csv, header, column 2", "'id'"),
        ("task:a,target:loss\n1,0.5\n0,good\n", "t.csv, row 2, column 'target:loss'", "'good'"),
        ("task:a,target:loss\n1,0.5\n0,\n", "t.csv, row 2, column 'target:loss'", "empty cell"),
        ("task:a,target:loss\n1,NaN\n0,1\n", "t.csv, row 1, column 'target:loss'", "NaN"),
        ("task:a,target:loss\n1,2\n0,inf\n", "t.csv, row 2, column 'target:loss'", "inf"),
        ('task:a,target:loss\n1,"1,5"\n0,2\n', "t.csv, row 1, column 'target:loss'", "1,5"),
        ("task:a,target:loss\n1,3 nats\n0,2\n", "t.csv, row 1, column 'target:loss'", "3 nats"),
        ("task:a,target:loss\n1,0.5\n", "t.csv", "1 row"),
        ("task:a,target:loss\n", "t.csv", "no row below the header"),
        ("task:a,task:a,target:loss\n1,0,2\n0,1,3\n", "t.csv, header, column 2", "'task:a' again"),
        ("task:a,target:x,target:x\n1,0,2\n0,1,3\n", "t.csv, header, column 3", "'target:x' again"),
        ("task:a, task: a ,target:x\n1,0,2\n0,1,3\n", "t.csv, header, column 2", "a"),
        ("task:a,task:b,target:x\n1,0,2\n0,2,3\n1,3,1\n", "t.csv, row 2, column 'task:b'", "2"),
        ("task:a,target:x\n1,2\n0.5,3\n", "t.csv, row 2, column 'task:a'", "0.5"),
        ("task:a,target:x\n1,2\nyes,3\n", "t.csv, row 2, column 'task:a'", "'yes'"),
        ("task:a,target:x\n1,2\n,3\n", "t.csv, row 2, column 'task:a'", "empty cell"),
        ("task:a,target:x\n1,2\n0,3,9\n1,1\n", "t.csv, row 2", "3 cells"),
        ("task:a,target:x\n1,2\n0\n1,1\n", "t.csv, row 2", "1 cell"),
        ("task:,target:x\n1,2\n0,3\n", "t.csv, header, column 1", "'task:'"),
        ("task:" + "k" * 200 + ",target:x\n1,2\n0,3\n", "t.csv, header, column 1", "200 characters"),
        ("\n\n\n", "t.csv", "no row"),
        ("1,0,0.5\n0,1,0.25\n1,1,0.1\n", "t.csv, header", "numbers (1, 0, 0.5)"),
        (",task:a,target:x\n7,1,2\n7,0,3\n", "t.csv, header, column 1", "no name"),
    ],
)
def test_a_wrong_csv_is_refused_where_it_is_wrong(text, place, found):
    error = refusal(text.encode(), "t.csv")
    assert error.place == place
    assert found in error.found


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_columns_may_be_parted_by_semicolons_or_tabs(delimiter):
    text = GOOD.decode().replace(",", delimiter)
    found = Outcomes.from_bytes(text.encode(), "t.csv")
    assert found.content_hash == Outcomes.from_bytes(GOOD, "t.csv").content_hash


def test_numbers_may_have_a_decimal_comma_between_semicolons():
    assert Outcomes.from_bytes(b"task:a;target:x\n1;2,5\n0;-3,25\n", "t.csv").values.tolist() == [[2.5], [-3.25]]


def test_semicolons_in_a_name_part_no_columns():
    found = Outcomes.from_bytes(b"task:a;b;c,target:x\n1,2\n0,3\n", "t.csv")
    assert (found.task_names, found.target_names) == (("a;b;c",), ("x",))


def test_lines_of_spaces_are_no_rows():
    assert Outcomes.from_bytes(b"  \n" + GOOD.replace(b"\n", b"\n   \n"), "t.csv").m == 3


def test_a_blank_line_does_not_shift_the_row_that_is_named():
    error = refusal(b"task:a,target:x\n1,2\n\n0,3\n0,3,9\n", "t.csv")
    # rows are counted without the header, and without blank lines, as the checks of values count them
    assert error.place == "t.csv, row 3"


def test_blank_lines_before_the_header_do_no_harm():
    assert Outcomes.from_bytes(b"\n\n" + GOOD, "t.csv").m == 3


@pytest.mark.parametrize("newline", [b"\r\n", b"\r"])
def test_line_ends_of_other_systems_are_read(newline):
    assert (
        Outcomes.from_bytes(GOOD.replace(b"\n", newline), "t.csv").content_hash
        == Outcomes.from_bytes(GOOD, "t.csv").content_hash
    )


def test_two_thousand_columns_are_refused_in_csv_and_parquet():
    names = [f"task:{k}" for k in range(1999)] + ["target:loss"]
    text = "\n".join([",".join(names), ",".join("1" * 2000), ",".join("0" * 2000)])
    assert "2,000 columns" in refusal(text.encode(), "wide.csv").found
    wide = parquet([pa.array([1, 0])] * 2000, names)
    assert "2,000 columns" in refusal(wide, "wide.parquet").found


def test_too_many_tasks_are_refused_by_their_first_superfluous_column():
    names = [f"task:{k}" for k in range(501)] + ["target:loss"]
    error = refusal(parquet([pa.array([1, 0])] * 502, names), "wide.parquet")
    assert error.place == "wide.parquet, header, column 501"
    assert "'task:500'" in error.found


def test_an_empty_file_is_refused():
    for name in ("t.csv", "t.parquet", "t.npz", "t.json"):
        assert "0 bytes" in refusal(b"", name).found


def test_a_binary_file_called_csv_is_refused():
    assert "binary" in refusal(b"\x89PNG\r\n\x1a\n".replace(b"\x89", b"") + b"\0\0\0\rIHDR", "t.csv").found
    assert "UTF-8" in refusal(parquet({"task:a": [1, 0]}) + b"\xff\xfe", "t.csv").expected


def test_a_table_in_another_encoding_is_read_and_says_so():
    for encoding, name in (("latin-1", "Windows-1252"), ("utf-16", "UTF-16")):
        outcomes = Outcomes.from_bytes("task:é,target:x\n1,2\n0,3\n".encode(encoding), "t.csv")
        assert outcomes.task_names == ("é",)
        assert name in outcomes.meta["notes"][0]
    assert "notes" not in Outcomes.from_bytes("task:é,target:x\n1,2\n0,3\n".encode(), "t.csv").meta


def test_a_byte_order_mark_is_no_part_of_the_first_name():
    outcomes = Outcomes.from_bytes("\ufefftask:é,target:x\n1,2\n0,3\n".encode(), "t.csv")
    assert outcomes.task_names == ("é",)


def test_a_csv_called_parquet_is_refused():
    assert "whole Parquet file" in refusal(GOOD, "t.parquet").expected


@pytest.mark.parametrize(("name", "expected"), [("t.npz", "whole .npz file"), ("t.json", "JSON")])
@pytest.mark.parametrize("data", [GOOD, parquet({"task:a": [1, 0], "target:x": [1.0, 2.0]})], ids=["csv", "parquet"])
def test_a_table_of_another_kind_called_npz_or_json_is_refused(data, name, expected):
    assert expected in refusal(data, name).expected


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_truncated_parquet_file_is_refused(kept):
    whole = parquet({"task:a": [1, 0] * 50, "target:x": np.arange(100.0)})
    assert "whole Parquet file" in refusal(whole[: int(kept * len(whole))], "t.parquet").expected


@pytest.mark.parametrize("ending", [".pkl", ".pickle", ".joblib", ".pt", ".pth", ".PKL"])
def test_pickles_are_refused_unread(ending):
    class Bomb:
        def __reduce__(self):
            return (exit, (1,))

    assert "pickle" in refusal(pickle.dumps(Bomb()), f"t{ending}").found


@pytest.mark.parametrize("name", ["t.xls", "t", "t.npz.gz", ".csv"])
def test_an_unknown_ending_is_refused(name):
    expected = refusal(GOOD, name).expected
    assert ".csv, .tsv, .xlsx, .jsonl or .parquet" in expected
    assert ".npz or .json" in expected


def test_a_capital_ending_is_read():
    assert Outcomes.from_bytes(GOOD, "T.CSV").m == 3


@pytest.mark.parametrize(
    ("columns", "place"),
    [
        ({"task:a": [1, 0], "target:x": ["1", "two"]}, "t.parquet, row 2, column 'target:x'"),
        ({"task:a": [1, 0], "target:x": [1.0, None]}, "t.parquet, row 2, column 'target:x'"),
        ({"task:a": [True, None], "target:x": [1.0, 2.0]}, "t.parquet, row 2, column 'task:a'"),
        ({"task:a": [1, 2], "target:x": [1.0, 2.0]}, "t.parquet, row 2, column 'task:a'"),
        ({"task:a": [1, 0], "target:x": pa.array([1, 2], pa.timestamp("ms"))}, "t.parquet, row 1, column 'target:x'"),
        ({"task:a": [1, 0], "target:x": pa.array([1, 2], pa.date32())}, "t.parquet, row 1, column 'target:x'"),
        ({"task:a": [1, 0], "target:x": [b"\xff", b"1"]}, "t.parquet, row 1, column 'target:x'"),
        ({"task:a": [1, 0], "target:x": [[1.0], [2.0]]}, "t.parquet, row 1, column 'target:x'"),
        ({"task:a": [1, 0], "target:x": [{"v": 1.0}, {"v": 2.0}]}, "t.parquet, row 1, column 'target:x'"),
        ({"task:a": [[1], [0]], "target:x": [1.0, 2.0]}, "t.parquet, row 1, column 'task:a'"),
        ({"task:a": [1]}, "t.parquet, header"),
    ],
)
def test_a_wrong_parquet_table_is_refused_where_it_is_wrong(columns, place):
    assert refusal(parquet(columns), "t.parquet").place == place


def test_equal_names_in_parquet_are_refused():
    data = parquet([pa.array([1, 0])] * 2 + [pa.array([1.0, 2.0])], ["task:a", "task:a", "target:x"])
    error = refusal(data, "t.parquet")
    assert error.place == "t.parquet, header, column 2"
    assert "again" in error.found


def test_a_huge_number_or_field_is_refused_not_a_crash():
    assert (
        refusal(b"task:a,target:x\n1," + b"9" * 400 + b"\n0,1\n", "t.csv").place == "t.csv, row 1, column 'target:x'"
    )
    long_cell = b"task:a,target:x\n1," + b"x" * 200_000 + b"\n0,1\n"
    assert "row 1" in refusal(long_cell, "t.csv").place
    assert "header" in refusal(b"task:" + b"x" * 200_000 + b",target:x\n1,2\n0,1\n", "t.csv").place


@pytest.mark.parametrize("words", [(b"True", b"False"), (b"true", b"false"), (b"1", b"0"), (b"1.0", b"0.0")])
def test_a_mask_may_be_written_in_words(words):
    text = GOOD.replace(b"\n1,0,", b"\n%s,%s," % words).replace(b"\n0,1,", b"\n%s,%s," % words[::-1])
    assert Outcomes.from_bytes(text, "t.csv").content_hash == Outcomes.from_bytes(GOOD, "t.csv").content_hash


def test_masks_of_other_types_in_parquet_are_read():
    expected = [[True, True], [False, False]]
    for column in (pa.array([True, False]), pa.array([1.0, 0.0]), pa.array(["1", "0"]), pa.array(["True", "False"])):
        data = parquet({"task:a": column, "task:b": pa.array([1, 0], pa.uint8()), "target:x": [1.0, 2.0]})
        assert Outcomes.from_bytes(data, "t.parquet").masks.tolist() == expected
