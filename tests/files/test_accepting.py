"""What every file is asked before it is read: ending, size and first bytes."""

import pytest

from kernelsm.files.accepting import (
    PICKLES,
    bare_name,
    check_content,
    check_ending,
    check_size,
    check_written_ending,
    ending_of,
    format_of,
    plain_name,
)
from kernelsm.files.signatures import JSON, NPZ, ZIP
from kernelsm.runtime.errors import InputError


def refused(check, *arguments, **named):
    with pytest.raises(InputError) as caught:
        check(*arguments, **named)
    return caught.value


def ending(name, endings=(".csv",)):
    return check_ending(name, endings, "a .csv file", "Export it.", unpickle="Use to_csv.")


@pytest.mark.parametrize(
    ("name", "found"), [("a.CSV", ".csv"), ("a.b.csv", ".csv"), ("a", ""), (".csv", ""), ("../x/a.Npz", ".npz")]
)
def test_an_ending_is_the_last_part_in_small_letters(name, found):
    assert ending_of(name) == found


def test_known_endings_pass():
    assert ending("T.CSV") == ".csv"
    assert ending("t", ("", ".npz")) == ""
    assert ending("model.bin", (".bin",)) == ".bin"  # where it is asked for it is no pickle


@pytest.mark.parametrize("kind", [*PICKLES, ".PKL"])
def test_pickles_are_refused_with_the_reason(kind):
    error = refused(ending, f"t{kind}")
    assert error.found == f"a pickle ({kind.lower()})"
    assert "can run code" in error.expected
    assert error.fix == "Use to_csv."


@pytest.mark.parametrize(("name", "found"), [("t.xlsx", "the ending '.xlsx'"), ("t", "the ending '(none)'")])
def test_other_endings_are_refused(name, found):
    error = refused(ending, name)
    assert (error.place, error.found, error.fix) == (name, found, "Export it.")


@pytest.mark.parametrize("on_disk", [True, False])
def test_sizes_are_checked_without_reading(tmp_path, on_disk):
    def source(size):
        path = tmp_path / "t"
        path.write_bytes(bytes(size))
        return path if on_disk else bytes(size)

    check_size(source(1), "t.csv", 1, "a table", "Send less.")
    check_size(source(2**20), "t.csv", 1, "a table", "Send less.")
    assert refused(check_size, source(0), "t.csv", 1, "a table", "Send less.").found == "an empty file (0 bytes)"
    error = refused(check_size, source(2**20 + 1), "t.csv", 1, "a table", "Send less.")
    assert (error.found, error.expected, error.fix) == ("2 MiB", "at most 1 MiB", "Send less.")


def test_content_must_be_what_the_name_says():
    check_content(b"a,b\n", "t.csv", ("",), "text", "Name it well.")
    check_content(b'[{"a": 1}]', "t.jsonl", ("", JSON), "text", "Name it well.")
    error = refused(check_content, b"\x89PNG\r\n", "t.csv", ("",), "text in UTF-8", "Name it well.")
    assert (error.found, error.expected) == ("what seems to be a PNG picture", "text in UTF-8, as its name says")
    assert refused(check_content, b"a,b\n", "t.zip", (ZIP, NPZ), "an archive", "").found == "no sign of an archive"
    assert "pickle" in refused(check_content, b"\x80\x04\x95", "t.npz", (NPZ,), "an archive", "").found


def test_a_file_is_written_under_the_ending_of_what_is_in_it(tmp_path):
    check_written_ending(tmp_path / "t.npz", ".npz")
    check_written_ending(tmp_path / "t.csv", ".parquet", ".csv")
    error = refused(check_written_ending, tmp_path / "t.xlsx", ".parquet", ".csv")
    assert (error.place, error.found) == ("file name 't.xlsx'", "the ending '.xlsx'")
    assert error.expected == ".parquet or .csv"


def test_packed_names_are_told_in_any_case():
    packed = (".csv",)
    for name in ("train.csv.gz", "train.CSV.GZ"):
        assert plain_name(name).lower() == "train.csv"
        assert (format_of(name, packed), bare_name(name, packed)) == (".csv", "train")
    assert (format_of("w.bin.gz", packed), bare_name("w.bin.gz", packed)) == (".gz", "w.bin")
    assert (format_of("x.csv"), bare_name("x.csv")) == (".csv", "x")
