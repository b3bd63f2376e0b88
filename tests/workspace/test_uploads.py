"""Files that users sent: named by their content, found by it, and dropped after a day."""

import os
import time

import pytest

from kernelsm import InputError
from kernelsm.workspace.requests import FileRef
from kernelsm.workspace.uploads import keep_upload, upload_path

DAY = 24 * 3600


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def below(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_a_file_is_found_by_its_key(tmp_path):
    key = keep_upload(b"a,b\n1,2\n", "mine.csv", tmp_path)
    assert upload_path(key, ".csv", tmp_path).read_bytes() == b"a,b\n1,2\n"
    assert FileRef(key, "mine.csv").path(tmp_path) == upload_path(key, ".csv", tmp_path)


def test_the_cache_is_where_files_are_kept_unless_told_otherwise(cache_folder):
    key = keep_upload(b"x", "x.txt")
    assert upload_path(key, ".txt").is_relative_to(cache_folder / "uploads")


def test_the_key_is_that_of_the_content_whatever_its_name(tmp_path):
    one, again = keep_upload(b"x", "one.csv", tmp_path), keep_upload(memoryview(b"x"), "two.csv", tmp_path)
    assert one == again
    assert keep_upload(b"y", "one.csv", tmp_path) != one
    assert len(below(tmp_path)) == 2
    assert not [name for name in below(tmp_path) if name.endswith(".part")]


def test_the_same_content_under_another_ending_is_read_by_that_ending(tmp_path):
    key = keep_upload(b"x", "one.csv", tmp_path)
    assert keep_upload(b"x", "one.TSV", tmp_path) == key
    assert upload_path(key, ".tsv", tmp_path).read_bytes() == b"x"
    with pytest.raises(InputError):
        upload_path(key, ".parquet", tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.csv", "/etc/passwd", "..", ".", "", "a/../../b.csv", "..\\evil.csv", "x.c/../../sv", "x.csv\0",
        "x." + "a" * 300, "x.é", "x.;rm", ".csv", "no ending", "a\nb.csv",
    ],
)  # fmt: skip
def test_a_name_never_leads_out_of_the_folder(tmp_path, name):
    root = tmp_path / "cache"
    key = keep_upload(b"content", name, root)
    assert below(tmp_path)[0].startswith(f"cache/uploads/{key}/file")
    assert len(below(tmp_path)) == 1
    assert FileRef(key, name).path(root).read_bytes() == b"content"


@pytest.mark.parametrize("key", ["", "x", "../uploads", "0" * 39, "0" * 41, "A" * 40, "0" * 40, "0" * 40 + "/.."])
def test_a_key_that_is_none_says_what_to_do(tmp_path, key):
    keep_upload(b"x", "x.csv", tmp_path)
    with pytest.raises(InputError) as caught:
        upload_path(key, ".csv", tmp_path)
    assert caught.value.fix == "Upload it again."
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("ending", ["/../file.csv", ".csv/..", "..", "csv", ".CSV"])
def test_an_ending_is_no_way_to_another_file(tmp_path, ending):
    key = keep_upload(b"x", "x.csv", tmp_path)
    with pytest.raises(InputError):
        upload_path(key, ending, tmp_path)


def test_what_was_sent_more_than_a_day_ago_is_dropped_with_the_next_upload(tmp_path):
    old, young = keep_upload(b"old", "x.csv", tmp_path), keep_upload(b"young", "x.csv", tmp_path)
    for key, seconds in ((old, DAY + 60), (young, DAY - 60)):
        age(upload_path(key, ".csv", tmp_path), seconds)
        age(tmp_path / "uploads" / key, seconds)
    keep_upload(b"next", "x.csv", tmp_path)
    assert not (tmp_path / "uploads" / old).exists()
    assert upload_path(young, ".csv", tmp_path).read_bytes() == b"young"


def test_what_is_sent_again_is_kept_for_another_day(tmp_path):
    key = keep_upload(b"x", "x.csv", tmp_path)
    age(upload_path(key, ".csv", tmp_path), 2 * DAY)
    age(tmp_path / "uploads" / key, 2 * DAY)
    assert keep_upload(b"x", "x.csv", tmp_path) == key
    keep_upload(b"y", "x.csv", tmp_path)
    assert upload_path(key, ".csv", tmp_path).read_bytes() == b"x"


def test_a_folder_that_is_being_filled_is_left_alone(tmp_path):
    home = tmp_path / "uploads"
    for name in ("model-being-unpacked", "0" * 40):
        (home / name).mkdir(parents=True)
    keep_upload(b"x", "x.csv", tmp_path)
    assert (home / "model-being-unpacked").is_dir()
    assert (home / ("0" * 40)).is_dir()
    # a job that was killed leaves its folder behind
    age(home / "model-being-unpacked", 2 * DAY)
    keep_upload(b"y", "y.csv", tmp_path)
    assert not (home / "model-being-unpacked").exists()
