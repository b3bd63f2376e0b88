"""Session files: written, restored, refused, taken apart and put together."""

import hashlib
import io
import zipfile

import pytest

from kernelsm import InputError
from kernelsm.workspace.session_file import read_session, write_session

VIEW = {"target": "größe, 日本語", "kernel": "rbf", "gamma": "0.1", "off": "1-2"}


def project_hash(folder):
    """A content hash of a folder, as the reader of projects would give it."""
    if not (folder / "project.json").exists():
        raise InputError("project.json", "no such file", "a project", "Save it again.")
    parts = [path.relative_to(folder).as_posix().encode() + path.read_bytes() for path in sorted(folder.rglob("*.*"))]
    return hashlib.sha1(b"\0".join(parts)).hexdigest()


def write(view, titles, root, projects=(), prompts=(), *, pinned=()):
    kept = {"tables": titles, "projects": dict.fromkeys(projects, ""), "prompts": dict.fromkeys(prompts, "")}
    return write_session(view, kept, root, pinned=pinned)


def restore(source, root, name="s.zip"):
    return read_session(source, name, root)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(data, root, name="s.zip"):
    """The error; the cache must be as before, without anything half done."""
    before = contents(root) if root.exists() else {}
    with pytest.raises(InputError) as caught:
        restore(data, root, name)
    assert caught.value.place.startswith(name)
    assert caught.value.fix.endswith((".", "?"))
    assert (contents(root) if root.exists() else {}) == before
    assert not list(root.glob(".*"))
    return caught.value


def unzipped(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()
