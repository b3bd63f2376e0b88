"""Free memory, and work that is refused before it begins."""

from pathlib import Path

import pytest

from kernelsm import InputError
from kernelsm.runtime import memory


def meminfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **files: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_LIMIT", tmp_path / "limit")
    monkeypatch.setattr(memory, "_USED", tmp_path / "used")


def test_the_kernel_says_what_is_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo(tmp_path, monkeypatch, meminfo="MemTotal: 100 kB\nMemAvailable:   40 kB\n", limit="max", used="7")
    assert memory.free_memory() == 40 * 1024


def test_a_container_leaves_at_most_what_its_limit_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo(tmp_path, monkeypatch, meminfo="MemAvailable: 40 kB\n", limit="9000", used="1000")
    assert memory.free_memory() == 8000


def test_a_damaged_answer_of_the_kernel_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo(tmp_path, monkeypatch, meminfo="MemAvailable:\nnonsense")
    found = memory.free_memory()
    assert found is None or found > 0


def test_work_that_needs_more_is_refused_and_the_message_says_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 2**30)
    memory.check_memory("GradEx", 2**29, what="few", fix="Take fewer.")
    with pytest.raises(InputError, match=r"many, which takes about 3\.0 GiB .* at most the 1\.0 GiB that are free"):
        memory.check_memory("GradEx", 3 * 2**30, what="many", fix="Take fewer.")
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    memory.check_memory("GradEx", 2**60, what="who knows", fix="Take fewer.")
