"""What users keep, whatever it is: looked for, opened, named, measured, shared and deleted in one way.

Each kind of thing is one object: `PROJECTS`, `PROMPTS` and `TABLES`, listed in `kernelsm.workspace.kept_kinds`. What
lists, shares or deletes goes through that list, so a further kind is one more object there and a name for it in the
view. How a thing is made and saved differs from kind to kind and stands beside its object.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from kernelsm.runtime.content_hash import is_content_hash
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import Store, cache_root

T = TypeVar("T")
SEND_LESS = "Save the session with fewer projects and tables."
"""How to mend a session file that is too large."""


@dataclass(frozen=True)
class KeptItem:
    """One thing that is kept: its kind, and its key."""

    kind: Kept[Any]
    key: str


class Kept(ABC, Generic[T]):
    """One kind of thing that users keep in the cache, each in files that are named by its key.

    A key is forty hex digits, the hash of the content: equal content is kept once, whoever uploaded it. All methods
    take the folder of the cache as `root`; None is `cache_root()`.

    Attributes
    ----------
    name : str
        Of the kind, in code: a plural.
    folder : str
        Where they are, in the cache and in a session file.
    parameter : str
        The parameter by which a link names one.
    label : str
        What one is, as a list on screen says it.
    counted : (str, str)
        What one and several of them are called after their number.
    keeps_title : bool
        Whether its title is kept with it. Else only those who use it know one, and a session file holds it apart.
    holds_data : bool
        Whether it is what somebody brought to work with: who follows a link sees what came of it, and never takes it
        along. Else it is a result, which is all on the page.
    also_deleted, not_deleted : str
        What the question before deleting one adds to its title, and a sentence on what stays.
    entries : str
        What its files in a session file are called, for messages.
    """

    name: ClassVar[str]
    folder: ClassVar[str]
    parameter: ClassVar[str]
    label: ClassVar[str]
    counted: ClassVar[tuple[str, str]]
    keeps_title: ClassVar[bool] = True
    holds_data: ClassVar[bool] = True
    also_deleted: ClassVar[str] = ""
    not_deleted: ClassVar[str] = ""
    entries: ClassVar[str]

    @abstractmethod
    def load(self, key: str, root: Path | None = None) -> T:
        """Return what is kept.

        Raises
        ------
        InputError
            There is none of that key here, or its files are damaged.
        """

    @abstractmethod
    def paths(self, key: str, root: Path | None = None) -> tuple[Path, ...]:
        """Files and folders that hold it and nothing else, the main one first; some may not be there."""

    @abstractmethod
    def title(self, key: str, root: Path | None = None) -> str:
        """Return the title kept with it; for a kind without titles, a name common to all.

        Raises
        ------
        InputError
            As `load`.
        """

    @abstractmethod
    def rename(self, key: str, title: str, root: Path | None = None) -> None:
        """Give it another title, where titles are kept.

        Raises
        ------
        InputError
            As `load`.
        """

    def needs(self, key: str, root: Path | None = None) -> tuple[KeptItem, ...]:
        """Return the kept items that it was made from and that can be read, so that work can continue with them."""
        return ()

    def stored_contents(self, key: str, root: Path | None = None) -> tuple[str, ...]:
        """Return the content hashes under which the store keeps chunks computed for it."""
        return ()

    def holders_folder(self, key: str, root: Path | None = None) -> Path:
        """Return the folder that says who holds it; see `kernelsm.workspace.holders`."""
        return (root or cache_root()) / self.folder / f"{key}.holders"

    def is_here(self, key: str, root: Path | None = None) -> bool:
        """Whether one of that key is kept here; its files may be damaged."""
        return is_content_hash(key) and self.paths(key, root)[0].exists()

    def opens(self, key: str, root: Path | None = None) -> bool:
        """Whether one of that key is here and can be read."""
        try:
            self.load(key, root)
        except InputError:
            return False
        return True

    def size(self, key: str, root: Path | None = None) -> int:
        """Bytes on disk; 0 where there is none of that key."""
        if not is_content_hash(key):
            return 0
        files = [file for path in self.paths(key, root) for file in (path, *path.rglob("*")) if file.is_file()]
        return sum(file.stat().st_size for file in files)

    def delete(self, key: str, root: Path | None = None) -> int:
        """Delete it and the chunks that the store keeps for it; return the bytes freed, 0 where there was none."""
        if not self.is_here(key, root):
            return 0
        freed, contents = self.size(key, root), self.stored_contents(key, root)
        for path in (*self.paths(key, root), self.holders_folder(key, root)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return freed + (Store(root).forget(*contents) if contents else 0)

    @abstractmethod
    def files_to_share(self, key: str, root: Path) -> list[Path]:
        """Return the files that go into a session file; their content must match the key.

        Raises
        ------
        InputError
            There is none of that key here, or its files are damaged.
        """

    def files_to_show(self, key: str, root: Path, folder: Path) -> list[Path]:
        """Write what a link shows of it into a folder that is laid out as the cache is, and return the files.

        Raises
        ------
        InputError
            As `files_to_share`.
        """
        shown = []
        for path in () if self.holds_data else self.files_to_share(key, root):
            shown.append(folder / path.relative_to(root))
            shown[-1].parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, shown[-1])
        return shown

    @abstractmethod
    def key_of_entry(self, entry: str) -> str:
        """Return the key that an entry of a session file belongs to; "" where the entry is of another kind."""

    @abstractmethod
    def check_copy(self, key: str, folder: Path, name: str) -> None:
        """Check the copy in a session file: its content must match its key and stay within the upload limits.

        It is rewritten where possible, so that only understood content is kept.

        Parameters
        ----------
        key : str
        folder : Path
            The session file unpacked, which is laid out as the cache is.
        name : str
            Of the session file, for messages.

        Raises
        ------
        InputError
            Names the entry that is wrong.
        """


def check_hash(place: str, found: str, expected: str) -> None:
    """Raise InputError unless content has the hash that names it."""
    if found != expected:
        fix = "It was changed or damaged: save the session again."
        raise InputError(place, f"content of the hash {found[:40]}", f"{expected}, as its name says", fix)
