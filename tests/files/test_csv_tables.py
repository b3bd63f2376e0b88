"""The one reader of CSV: typed columns for samples and outcomes, cells as written for prompts.

What samples need of it is tested in tests/samples/test_reader.py.
"""

import pytest

from kernelsm import InputError
from kernelsm.files.csv_tables import read_csv, read_csv_texts
from kernelsm.files.limits import Limits

SMALL = Limits(rows=4, columns=4, unpacked_megabytes=1)


def columns(text, name="t.csv", limits=SMALL):
    found = read_csv(text.encode() if isinstance(text, str) else text, name, limits)
    read, rows = found.columns, found.rows
    assert all(len(column) == rows for column in read.values())
    return {column: cells.to_pylist() for column, cells in read.items()}


def texts(text, name="t.csv", limits=SMALL):
    data = text.encode() if isinstance(text, str) else text
    _, rows = read_csv_texts(data, name, limits)
    return list(rows)


def refused(read, text, limits=SMALL):
    with pytest.raises(InputError) as caught:
        read(text, limits=limits)
    assert caught.value.place.startswith("t.csv")
    return caught.value


def test_bytes_and_files_are_read_alike(tmp_path):
    data = "\ufeffa; b \n1,5;x\n\n-2;é\n".encode()
    (tmp_path / "t").write_bytes(data)
    assert columns(data) == {"a": [1.5, -2.0], "b": ["x", "é"]}
    assert read_csv(tmp_path / "t", "t.csv", SMALL) == read_csv(data, "t.csv", SMALL)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_of_spaces_are_no_rows_wherever_they_stand(mark, end):
    lines = ["  ", "", "a,b", " ", "1,2", "\t", "3,4", "   "]
    assert columns(mark + end.join(lines)) == {"a": [1, 3], "b": [2, 4]}
    assert columns(mark + end.join(lines) + end) == {"a": [1, 3], "b": [2, 4]}


def test_a_preview_reads_whole_rows_of_the_beginning(tmp_path, monkeypatch):
    monkeypatch.setattr("kernelsm.files.csv_tables.BLOCK", 50)
    path = tmp_path / "t"
    path.write_text(" \na,b\n" + "".join(f'{i},"x\ny"\n' for i in range(100)))
    found = read_csv(path, "t.csv", SMALL, 3)
    read, rows = found.columns, found.rows
    assert rows is None
    assert read["a"].to_pylist() == [0, 1, 2]
    found = read_csv(b"a\n1\n2\n", "t.csv", SMALL, 1)
    whole, rows = found.columns, found.rows
    assert (whole["a"].to_pylist(), rows) == ([1], 2)


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("", "t.csv", "no row below the header"),
        ("\ufeff \n\n", "t.csv", "no row below the header"),
        ("a,b\n", "t.csv", "no row below the header"),
        ("a,b\n1,2\n3\n", "t.csv, row 2", "1 cell"),
        ("a,b\n \n1,2\n\n3,4,5\n", "t.csv, row 2", "3 cells"),
        ("a,a\n1,2\n", "t.csv, header, column 2", "'a' again (as column 1)"),
        ("a,\n1,2\n", "t.csv, header, column 2", "no name"),
        ("0.5,1.5\n1,2\n", "t.csv, header", "numbers (0.5, 1.5)"),
        ("a,b,c,d,e\n1,2,3,4,5\n", "t.csv, header", "5 columns"),
        ("a\n1\n2\n3\n4\n5\n", "t.csv", "more than 4 rows"),
        (b"a,b\n1,\xff\x01\n", "t.csv", "a byte that is not UTF-8 at position 6"),
        (b"a,b\n1,\0\n", "t.csv", "binary data (a NUL byte at position 6)"),
        ("a,b\n" + "x" * 2**20 + ",1\n", "t.csv", "at least 2 MiB in memory"),
    ],
)
def test_what_is_no_table_is_refused_where_it_is_wrong(text, place, found):
    error = refused(columns, text)
    assert (error.place, error.found) == (place, found)


def test_cells_are_read_as_they_are_written():
    read = texts('note,TEXT, Label ,note,\n7," 007 ",NA,x,\n,,,,\n8,1e3,"two\nlines",y,\n', limits=Limits(columns=5))
    assert read == [(1, ("7", "007", "NA", "x", "")), (3, ("8", "1e3", "two\nlines", "y", ""))]
    assert texts("text;label\ntrue;1,5\n") == [(1, ("true", "1,5"))]
    assert texts("text\tlabel\na, b; c\td\n", "t.tsv") == [(1, ("a, b; c", "d"))]
    assert texts("text,label\n") == []


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [
        ("text,label,a,b,c\n1,2,3,4,5\n", "t.csv, header", "5 columns"),
        ("text,label\na\n", "t.csv, row 1", "1 cell"),
        ('text,label\na,"b\n', "t.csv, row 1", None),
        ("text,label\na,b\n" * 5, "t.csv", "more than 4 rows"),
    ],
)
def test_texts_that_cannot_be_read_are_refused(text, place, found):
    error = refused(texts, text)
    assert error.place == place
    assert found is None or error.found == found


@pytest.mark.parametrize(
    ("index", "left_out"),
    [
        (range(40), True),
        ([3, 17, 42, *range(50, 87)], True),
        ([7, 2, 9, *range(20, 57)], True),  # shuffled
        ([*range(20), *range(20)], True),  # two tables, one below the other
        ([*range(5, 25), *range(3, 23)], True),
        ([0, 1] * 20, False),  # values
        ([f"r{i}" for i in range(40)], False),
        ([0.5] * 40, False),
    ],
)
def test_an_unnamed_first_column_is_left_out_where_it_numbers_the_rows(index, left_out):
    text = ",a\n" + "".join(f"{number},{row}\n" for row, number in enumerate(index))
    limits = Limits(rows=100, columns=4, unpacked_megabytes=1)
    if left_out:
        assert columns(text, limits=limits) == {"a": list(range(40))}
    else:
        assert refused(columns, text, limits).found == "no name"


def test_empty_columns_without_a_name_are_left_out_wherever_they_stand():
    found = read_csv(b"a,,b,,\n1,,2,,\n3,,4, ,\n", "t.csv", Limits(rows=4, columns=9))
    assert {name: held.to_pylist() for name, held in found.columns.items()} == {"a": [1, 3], "b": [2, 4]}
    assert [note[:8] for note in found.notes] == ["Column 2", "Column 4", "Column 5"]
    assert refused(columns, "a,,b\n1,,2\n3,5,4\n").place == "t.csv, header, column 2"
