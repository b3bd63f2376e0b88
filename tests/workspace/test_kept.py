"""What users keep is looked for, opened, named, measured, shared and deleted in one way, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelsm import InputError, Outcomes, TaskSuite
from kernelsm.estimators.recipe import Rates, Recipe
from kernelsm.evaluation.confirmation import Confirmation, MeasureName
from kernelsm.gradients.choices import PROJECTIONS
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import ChunkKind, Store, cache_root
from kernelsm.workspace import session_file
from kernelsm.workspace.confirmations import keep_confirmation
from kernelsm.workspace.kept import Kept
from kernelsm.workspace.kept_kinds import KEPT_KINDS
from kernelsm.workspace.projects import Project, save_project
from kernelsm.workspace.prompt_projects import PromptSource, keep_prompts
from kernelsm.workspace.session_file import read_session, write_session
from kernelsm.workspace.tables import save_run

TEXTS = (Labelled("größe, 日本語", "yes"), Labelled("{a}", "no"))


@pytest.fixture
def make(blobs: TaskSuite) -> dict[str, Callable[[Path | None], str]]:
    """For each kind how to keep one, which returns its key."""
    rates = Rates(1.0, dict.fromkeys(PROJECTIONS, 0.1), {"exact": 1.0, "projected": 1.0}, 0.1)
    recipe = Recipe(
        suite=lambda report=silent: blobs, architecture="mlp", config={"sizes": [4, 6, 3]}, parameters=51, ridge=0.1,
        rates=rates, training={"epochs": 2},
    )  # fmt: skip
    project = Project("mine", recipe, {"contents": [blobs.content_hash]})
    source = PromptSource("mine", PromptTask(TEXTS, TEXTS, (), ("yes", "no"), k=2))
    table = Outcomes(np.eye(3), np.ones((3, 1)), meta={"unit": "nats"})
    confirmed = Confirmation(
        "digits", (1,), ("a", "größe, 日本語"), ("all",), 0.1, (0, 1), (MeasureName("loss", "nats", False),),
        {"anew": np.array([[[[1.0]], [[0.1 + 0.2]]], [[[1.5]], [[0.7]]]])}, "Without größe, 日本語",
    )  # fmt: skip
    return {
        "projects": lambda root=None: save_project(project, blobs, root=root),
        "prompts": lambda root=None: keep_prompts(source, root),
        "tables": lambda root=None: save_run(table, root),
        "confirmations": lambda root=None: keep_confirmation(confirmed, root),
    }


def each_kind(test: Callable[..., None]) -> Callable[..., None]:
    return pytest.mark.parametrize("kind", KEPT_KINDS, ids=lambda kind: kind.name)(test)


def files(root: Path, kind: Kept[Any]) -> list[Path]:
    return [path for path in (root / kind.folder).rglob("*") if path.is_file()]


def test_kinds_are_told_apart() -> None:
    for told in ("name", "folder", "parameter", "label"):
        assert len({getattr(kind, told) for kind in KEPT_KINDS}) == len(KEPT_KINDS)


@each_kind
def test_what_is_kept_is_found_opened_and_deleted(kind: Kept[Any], make: dict[str, Any], tmp_path: Path) -> None:
    key = make[kind.name](tmp_path)
    assert is_content_hash(key)
    assert make[kind.name](tmp_path) == key
    assert kind.is_here(key, tmp_path)
    assert kind.opens(key, tmp_path)
    assert not kind.is_here(key)
    size = sum(path.stat().st_size for path in files(tmp_path, kind))
    assert kind.size(key, tmp_path) == size > 0
    assert kind.delete(key, tmp_path) == size
    assert files(tmp_path, kind) == []
    assert not kind.opens(key, tmp_path)
    assert (kind.size(key, tmp_path), kind.delete(key, tmp_path)) == (0, 0)
    with pytest.raises(InputError):
        kind.load(key, tmp_path)


@each_kind
def test_a_title_is_kept_where_the_kind_says_so(kind: Kept[Any], make: dict[str, Any]) -> None:
    key = make[kind.name](None)
    before = kind.title(key)
    kind.rename(key, "another")
    assert kind.title(key) == ("another" if kind.keeps_title else before)
    assert make[kind.name](None) == key  # the title is no part of the key


@each_kind
@pytest.mark.parametrize("key", ["", "x", "../x", "../runs/x", "0" * 39, "A" * 40, "0" * 40])
def test_no_key_reaches_anything_else(kind: Kept[Any], make: dict[str, Any], tmp_path: Path, key: str) -> None:
    for one in make.values():
        one(tmp_path)
    (tmp_path / "x").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert not kind.is_here(key, tmp_path)
    assert (kind.size(key, tmp_path), kind.delete(key, tmp_path)) == (0, 0)
    with pytest.raises(InputError):
        kind.files_to_share(key, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


@each_kind
def test_what_is_shared_is_the_same_elsewhere(kind: Kept[Any], make: dict[str, Any], tmp_path: Path) -> None:
    key = make[kind.name](None)
    shared = kind.files_to_share(key, cache_root())
    assert {kind.key_of_entry(path.relative_to(cache_root()).as_posix()) for path in shared} == {key}
    data = write_session({}, {kind.name: {key: "ours"}}, cache_root())
    found = read_session(data, "s.zip", tmp_path / "there")
    assert found.kept == {other.name: {} for other in KEPT_KINDS} | {kind.name: {key: found.kept[kind.name][key]}}
    assert found.kept[kind.name][key] == ("" if kind.keeps_title else "ours")
    assert kind.size(key, tmp_path / "there") == kind.size(key)
    assert kind.opens(key, tmp_path / "there")


def test_what_was_computed_for_a_project_is_deleted_with_it(make: dict[str, Any], blobs: TaskSuite) -> None:
    key, store = make["projects"](None), Store()
    for content in (blobs.content_hash, "another"):
        store.chunk(ChunkKind("squares"), (content,), lambda: np.arange(9))
    (projects,) = (kind for kind in KEPT_KINDS if kind.name == "projects")
    of_it = max(entry.size for entry in store.entries())
    assert projects.delete(key) > of_it
    assert len(Store().entries()) == 1


class Notes(Kept[str]):
    """A further kind."""

    name, folder, parameter, label, counted = "notes", "notes", "note", "a note", ("note", "notes")
    entries = "notes/HASH.md"

    def load(self, key: str, root: Path | None = None) -> str:
        if not self.is_here(key, root):
            raise InputError("note", key, "one that is here", "Write it again.")
        return self.paths(key, root)[0].read_text()

    def paths(self, key: str, root: Path | None = None) -> tuple[Path, ...]:
        return ((root or cache_root()) / "notes" / f"{key}.md",)

    def title(self, key: str, root: Path | None = None) -> str:
        return self.load(key, root).splitlines()[0]

    def rename(self, key: str, title: str, root: Path | None = None) -> None:
        raise NotImplementedError

    def files_to_share(self, key: str, root: Path) -> list[Path]:
        self.load(key, root)
        return [*self.paths(key, root)]

    def key_of_entry(self, entry: str) -> str:
        key = entry.removeprefix("notes/").removesuffix(".md")
        return key if entry == f"notes/{key}.md" and is_content_hash(key) else ""

    def check_copy(self, key: str, folder: Path, name: str) -> None:
        if "wrong" in self.load(key, folder):
            raise InputError(f"{name}, notes/{key}.md", "a wrong note", "a right one", "Mend it.")


def test_a_further_kind_is_one_more_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_file, "KEPT_KINDS", (Notes(), *KEPT_KINDS))
    key, (path,) = "a" * 40, Notes().paths("a" * 40)
    path.parent.mkdir(parents=True)
    path.write_text("On digits\nThree helps eight.")
    data = write_session({}, {"notes": {key: ""}}, cache_root())
    assert read_session(data, "s.zip", tmp_path / "there").kept["notes"] == {key: ""}
    assert Notes().title(key, tmp_path / "there") == "On digits"
    path.write_text("wrong")
    with pytest.raises(InputError, match="a wrong note"):
        read_session(write_session({}, {"notes": {key: ""}}, cache_root()), "s.zip", tmp_path / "nowhere")
    assert list((tmp_path / "nowhere").iterdir()) == []
