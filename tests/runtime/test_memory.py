"""How much memory may still be taken: the machine's, or the container's where that is less."""

from pathlib import Path

import pytest

from kernelsm.runtime import memory


@pytest.fixture
def container(tmp_path, monkeypatch):
    """Return a function that makes the files in which a container says what it may use."""
    monkeypatch.setattr(memory, "_GROUP", tmp_path)

    def make(most, used=0, droppable=0):
        (tmp_path / "memory.max").write_text(f"{most}\n")
        (tmp_path / "memory.current").write_text(f"{used}\n")
        (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {droppable}\nslab 3\n")

    return make


def test_a_container_has_what_it_may_use_less_what_it_uses_and_cannot_drop(container):
    container(most=3000, used=1500, droppable=500)
    assert memory.available_memory() == 2000


def test_a_full_container_has_next_to_nothing(container):
    container(most=1000, used=1200)
    assert memory.available_memory() == 1


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="another system")
def test_without_a_bound_it_is_what_the_machine_has(container):
    free = memory.available_memory()
    container(most="max")
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 2**20 < free <= total
    assert 2**20 < memory.available_memory() <= total


def test_nobody_says(container, monkeypatch):
    monkeypatch.setattr(memory, "_of_the_machine", lambda: None)
    assert memory.available_memory() is None
