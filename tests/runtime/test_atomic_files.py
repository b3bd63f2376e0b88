"""Files are whole or not there: failures, several writers at once, readers meanwhile."""

import subprocess
import sys
from pathlib import Path

import pytest

from kernelsm.runtime.atomic_files import unfinished_folder, write_whole

HOME = Path(__file__).resolve().parents[2]
# writes 200,000 equal letters, slowly enough that two such processes are at it together
WRITER = """
import sys, time
from pathlib import Path
from kernelsm.runtime.atomic_files import write_whole
for _ in range(60):
    with write_whole(Path(sys.argv[1])) as part, part.open("w") as file:
        for _ in range(20):
            file.write(10_000 * sys.argv[2])
            file.flush()
"""


def write_half(path, error):
    with write_whole(path) as part:
        part.write_text("ha")
        raise error


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_with_all_that_was_written(tmp_path):
    path = tmp_path / "new" / "deep" / "notes.txt"
    with write_whole(path) as part:
        part.write_text("half")
        assert not path.exists()
        assert part.parent == path.parent
        part.write_text("all of it")
    assert path.read_text() == "all of it"
    assert names(path.parent) == ["notes.txt"]


def test_a_new_file_may_be_read_by_whoever_may_read_others(tmp_path):
    (tmp_path / "usual").write_text("")
    with write_whole(tmp_path / "whole") as part:
        part.write_text("")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "notes.txt"
    path.write_text("old")
    with pytest.raises(error):
        write_half(path, error)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["notes.txt"]


def test_a_failure_before_anything_is_written_is_told_as_it_is(tmp_path):
    with pytest.raises(ZeroDivisionError), write_whole(tmp_path / "notes.txt"):
        _ = 1 / 0
    assert names(tmp_path) == []


def test_two_writers_at_once_have_places_of_their_own(tmp_path):
    path = tmp_path / "notes.txt"
    with write_whole(path) as first, write_whole(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the outer block ended last
    assert names(tmp_path) == ["notes.txt"]


def test_two_processes_writing_one_file_leave_one_of_them_whole(tmp_path):
    path = tmp_path / "letters.txt"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter], cwd=HOME) for letter in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            text = path.read_text()
            assert text in (200_000 * "a", 200_000 * "b")
            seen.add(text[0])
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen
    assert path.read_text() in (200_000 * "a", 200_000 * "b")
    assert names(tmp_path) == ["letters.txt"]


def test_a_folder_is_renamed_by_the_caller_or_removed(tmp_path):
    with unfinished_folder(tmp_path / "home" / "project") as part:
        (part / "a.txt").write_text("a")
        part.rename(tmp_path / "home" / "project")
    assert (tmp_path / "home" / "project" / "a.txt").read_text() == "a"
    with unfinished_folder(tmp_path / "home" / "project") as part:
        (part / "b.txt").write_text("b")
    assert names(tmp_path / "home") == ["project"]
    assert names(tmp_path / "home" / "project") == ["a.txt"]
