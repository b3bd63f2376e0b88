"""Free memory, and work that is refused before it begins."""

from pathlib import Path

import pytest

from kernelsm import InputError
from kernelsm.runtime import memory


def meminfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, **of_the_container: str) -> None:
    (tmp_path / "meminfo").write_text(text)
    for name, content in of_the_container.items():
        (tmp_path / f"memory.{name}").write_text(content)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_GROUP", tmp_path)


def test_the_kernel_says_what_is_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo(tmp_path, monkeypatch, "MemTotal: 100 kB\nMemAvailable:   40 kB\n", max="max", current="7", stat="")
    assert memory.available_memory() == 40 * 1024


def test_a_container_leaves_at_most_what_its_limit_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stat = "anon 500\ninactive_file 300\n"  # files that were read and can be dropped
    meminfo(tmp_path, monkeypatch, "MemAvailable: 40 kB\n", max="9000", current="1000", stat=stat)
    assert memory.available_memory() == 8300


def test_a_damaged_answer_of_the_kernel_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo(tmp_path, monkeypatch, "MemAvailable:\nnonsense")
    found = memory.available_memory()
    assert found is None or found > 0


def test_work_that_needs_more_is_refused_and_the_message_says_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 2**30)
    memory.check_memory("GradEx", 2**29, what="few", fix="Take fewer.")
    with pytest.raises(InputError, match=r"many, which takes about 3\.0 GiB .* at most the 1\.0 GiB that are free"):
        memory.check_memory("GradEx", 3 * 2**30, what="many", fix="Take fewer.")
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    memory.check_memory("GradEx", 2**60, what="who knows", fix="Take fewer.")
