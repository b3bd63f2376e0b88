"""How a CSV file is written: delimiters, decimal commas, quotes and the numbers of rows."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelsm.files.csv_dialect import Dialect, check_quotes, find_dialect, numbered_rows
from kernelsm.runtime.errors import InputError


@pytest.mark.parametrize(
    ("head", "name", "delimiter", "decimal"),
    [
        ("a,b\n1,2\n", "t.csv", ",", "."),
        ("a;b\n1;2\n", "t.csv", ";", "."),
        ("a\tb\n1\t2\n", "t.csv", "\t", "."),
        ("a;b\n1,5;2\n", "t.csv", ";", ","),
        ("a;b\n2;-1,5\n", "t.csv", ";", ","),
        ("a,b\n1,5\n", "t.csv", ",", "."),
        ('a;b\n"1,5 and more";x\n', "t.csv", ";", "."),
        # more cells in the header alone are no reason
        ("task:a;b;c,target:x\n1,2\n", "t.csv", ",", "."),
        ("text,label\nHello, you,b\n", "t.csv", ",", "."),
        ('"a;b;c",d\n1,2\n', "t.csv", ",", "."),
        ("a\tb,c\n1\t2,3\n", "t.tsv", "\t", ","),
        ("a\tb\n1\t2,300\n4\t12,000\n", "t.csv", "\t", "."),
        ("a\tb\n1\t2,300\n4\t0,500\n", "t.csv", "\t", ","),
        # beside a number with a point, commas are no decimals
        ("a\tb\n1,25\t2.5\n3,5\t4.5\n", "t.tsv", "\t", "."),
        ("a\tb\n1,25\t.5\n3,5\t4.5\n", "t.tsv", "\t", "."),
        ("a\tb\n1,25\t2\n3,5\t4\n", "t.tsv", "\t", ","),
        ("a\tb\n1,25\tv2.5\n", "t.tsv", "\t", ","),
        ("a|b\n1|2\n", "t.csv", "|", "."),
        ("a\tb,c\n1\t2,3\n", "t.csv", ",", "."),
        ("\n  \na;b\n\n1;2\n", "t.csv", ";", "."),
        ("one\n1\n", "t.csv", ",", "."),
        ("a;b", "t.csv", ";", "."),
        ("a;b\n" + "x" * 200_000 + ";2\n", "t.csv", ";", "."),  # beyond what the csv module reads
        ("", "t.csv", ",", "."),
    ],
)
def test_delimiter_and_decimal_point_are_told_by_the_beginning(head, name, delimiter, decimal):
    found = find_dialect(head, name)
    assert (found.delimiter, found.decimal) == (delimiter, decimal)


def test_rows_are_numbered_without_lines_of_spaces():
    text = "\n \na,b\n\n1,2\n   \n,\n3,4\n"
    assert list(numbered_rows(csv.reader(io.StringIO(text)))) == [
        (0, ["a", "b"]), (1, ["1", "2"]), (2, ["", ""]), (3, ["3", "4"])
    ]  # fmt: skip
    # in a table of one column they are cells
    assert [row for row, _ in numbered_rows(csv.reader(io.StringIO("a\n \n1\n")))] == [0, 1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n",
        'a,b\n"1, ""one""",2\n',
        'a,b\n5" pipe,2\n',
        'a,b\r\n"x\r\ny",2',
        '"a","b"\r1,2\r',
        '\ufeff"a",b\n',
    ],
)
@pytest.mark.parametrize("on_disk", [True, False])
def test_quotes_in_pairs_pass(text, on_disk, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    check_quotes(path if on_disk else text.encode(), "t.csv", Dialect(",", "."))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('"a,b\n1,2\n', "t.csv, header"),
        ('a,b\n1,"2\n3,4\n', "t.csv, row 1"),
        ('a,b\n\n1,2\n   \n3,"4" x\n', "t.csv, row 2"),
        ('a,b\n1,"say \\"hi\\" C:\\"\n', "t.csv, row 1"),
    ],
)
def test_the_row_of_a_wrong_quote_is_named(text, place):
    with pytest.raises(InputError) as caught:
        check_quotes(text.encode(), "t.csv", Dialect(",", "."))
    assert caught.value.place == place


@given(st.text(st.sampled_from('ab,"\n')), st.integers(1, 5))
def test_what_passes_is_what_a_strict_reader_reads(text, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kernelsm.files.csv_dialect._BLOCK", block)
        try:
            check_quotes(text.encode(), "t.csv", Dialect(",", "."))
            passed = True
        except InputError:
            passed = False
    try:
        list(csv.reader(io.StringIO(text, newline=""), strict=True))
        fine = True
    except csv.Error:
        fine = False
    assert passed == fine
