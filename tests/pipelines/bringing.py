"""What a user does with a file, as the page and its job do it, and the work that was there before."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import PurePath

import numpy as np
from bad_files import GOOD, described_as, npz, tensors, zipped

from kernelsm import Outcomes
from kernelsm.runtime.progress import silent
from kernelsm.runtime.store import Store, cache_root
from kernelsm.samples.reader import preview_samples, read_samples
from kernelsm.tasks.mapping import SampleMapping
from kernelsm.tasks.mapping_guess import guess_mapping
from kernelsm.workspace.requests import FileRef, NetworkRequest, ProjectRequest
from kernelsm.workspace.session_file import read_session, write_session
from kernelsm.workspace.uploads import keep_upload, upload_path

QUICK = NetworkRequest("train", architecture="logistic", training={"epochs": 2})


def prepared(name, content, mapping=None, model=QUICK):
    """Take a file of samples from its upload to a project: `mapping` changes what is guessed."""
    from kernelsm.pipelines.prepare import prepare

    ref = FileRef(keep_upload(content, name), name)
    path = upload_path(ref.key, PurePath(name).suffix.lower())
    preview_samples(path, name)
    guess = guess_mapping(read_samples(path, name))
    chosen = mapping if isinstance(mapping, SampleMapping) else replace(guess, **(mapping or {}))
    job = ProjectRequest("Mine", ref, chosen.to_dict(), model).job()
    return prepare(ProjectRequest.from_json(job.arguments["request"]), silent, Store())


def samples(name, make, mapping=None):
    """Bring samples; `make` returns the content of the file or is it, `mapping` changes the guess."""
    return lambda: prepared(name, content_of(make), mapping)


def kept(name, content):
    """A file that was sent."""
    return FileRef(keep_upload(content, name), name)


def given(model, data=lambda: ("good.csv", GOOD), mapping=None):
    """Bring good samples, or other ones, with a network."""
    return lambda: prepared(*data(), mapping, model())


def weights(make=lambda: tensors(), name="net.safetensors", config=None):
    """Bring good samples with weights and the description of their network."""
    config = config or described_as("mlp", sizes=[2, 4, 2])
    told = config if isinstance(config, bytes) else json.dumps(config).encode()
    return given(
        lambda: NetworkRequest("weights", weights=kept(name, content_of(make)), config=kept("net.json", told))
    )


def hugging(make, data=lambda: ("good.csv", GOOD), mapping=None, name="f.zip"):
    """Bring samples with the zip of a Hugging Face folder."""
    return given(lambda: NetworkRequest("folder", archive=kept(name, content_of(make))), data, mapping)


def features(make, name="f.npz"):
    """Bring a file of gradient features."""

    def bring():
        from kernelsm.pipelines.prepare import prepare

        job = ProjectRequest("Mine", kept(name, content_of(make)), {}, NetworkRequest("features")).job()
        return prepare(ProjectRequest.from_json(job.arguments["request"]), silent, Store())

    return bring


def outcomes(make, name="o.csv", *others):
    """Bring a table of outcomes, of one file or several."""
    return lambda: Outcomes.from_files([(content_of(make), name), *others])


def session(make, name="s.zip"):
    """Bring a session file; `make` changes the entries of a good one, or returns the whole content."""

    def bring():
        content = make(session_members()) if callable(make) else make
        content = zipped(content) if isinstance(content, dict) else content
        return read_session(content, name, cache_root())

    return bring


def content_of(make):
    return make() if callable(make) else make


class Before:
    """One project and one table that are here before anything bad comes."""

    project = run = ""
    state: object = None


@cache
def session_members():
    """The entries of a session file of the work before."""
    data = write_session(
        {"run": Before.run}, {"tables": {Before.run: "mine"}, "projects": {Before.project: ""}}, cache_root()
    )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def renamed(members, kind, key):
    """Session entries with the only project or run under another name."""
    return {name.replace(getattr(Before, kind), key): content for name, content in members.items()}


def with_sheet(**changes):
    """Change the description of the project in a session file; its name stays that of the good one."""

    def change(members):
        name = f"projects/{Before.project}/project.json"
        sheet = {**json.loads(members[name]), **changes}
        return {**members, name: json.dumps({key: value for key, value in sheet.items() if value is not None})}

    return change


def deep(levels):
    """Lists within lists."""
    found = []
    for _ in range(levels):
        found = [found]
    return found


def with_entry(name, content):
    return lambda members: {**members, name.format(run=Before.run, project=Before.project): content_of(content)}


def described(**changes):
    def change(members):
        return {**members, "session.json": json.dumps({**json.loads(members["session.json"]), **changes})}

    return change


def suite_with(**changes):
    """A session file whose project has other arrays in its suite."""

    def change(members):
        name = f"projects/{Before.project}/suite.npz"
        with np.load(io.BytesIO(members[name])) as file:
            arrays = dict(file)
        info = json.loads(arrays["info"].tobytes())
        info |= {key: value for key, value in changes.items() if key in info}
        arrays |= {key: value for key, value in changes.items() if key in arrays}
        arrays["info"] = np.frombuffer(json.dumps(info).encode(), dtype=np.uint8)
        return {**members, name: npz(**arrays)}

    return change


def state(root):
    """Every file of runs and projects, and everything half done."""
    found = {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for kind in ("runs", "projects") for path in sorted((root / kind).rglob("*")) if path.is_file()
    }  # fmt: skip
    half_done = [
        path.name
        for path in [*root.glob("*"), *root.glob("[pru]*/*")]
        if path.name.startswith((".", "model-")) or path.suffix == ".part"
    ]
    return found, half_done, sorted({path.name for path in root.iterdir()} - {"uploads", "store", "arrays"})
