"""Work in a process of its own: its result, its errors in words, and nothing but functions of kernelsm."""

import pytest

from kernelsm import InputError
from kernelsm.runtime.apart import apart


def test_the_result_comes_back_from_another_process():
    assert apart("kernelsm.runtime.content_hash:is_content_hash", name="no") is False


def test_an_input_error_comes_back_as_it_is(tmp_path):
    file = tmp_path / "session.zip"
    file.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"mine\.zip.*found"):
        apart("kernelsm.workspace.session_file:restore_session", path=str(file), name="mine.zip", root=str(tmp_path))


def test_an_error_of_the_disk_comes_back_as_one(monkeypatch, tmp_path):
    monkeypatch.setenv("KERNELSM_CACHE", str(tmp_path / "no folder" / "file.txt"))
    (tmp_path / "no folder").write_text("a file where a folder should be")
    with pytest.raises(NotADirectoryError):
        apart("kernelsm.workspace.housekeeping:tidy")


@pytest.mark.parametrize("work", ["os:system", "kernelsm.runtime.nothing:run", "kernelsm.runtime.apart:no_such"])
def test_anything_else_is_refused(work):
    with pytest.raises((InputError, RuntimeError)):
        apart(work, command="true")
