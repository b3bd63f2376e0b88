"""Session files: what was saved is restored; whatever is wrong with a file, nothing of it is taken."""

import hashlib
import io
import json
import pickle
import stat
import zipfile
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from kernelsm import InputError, Outcomes
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.workspace.prompt_projects import PROMPTS, PromptSource, find_prompts, keep_prompts
from kernelsm.workspace.session_file import read_session, write_session
from kernelsm.workspace.tables import TABLES, save_run

VIEW = {"target": "größe, 日本語", "kernel": "rbf", "gamma": "0.1", "off": "1-2"}


def project_hash(folder):
    """A content hash of a folder, as the reader of projects would give it."""
    if not (folder / "project.json").exists():
        raise InputError("project.json", "no such file", "a project", "Save it again.")
    parts = [path.relative_to(folder).as_posix().encode() + path.read_bytes() for path in sorted(folder.rglob("*.*"))]
    return hashlib.sha1(b"\0".join(parts)).hexdigest()


@pytest.fixture
def there(tmp_path):
    """The cache of the computer that saves."""
    return tmp_path / "there"


@pytest.fixture
def here(tmp_path):
    """The cache of the computer that restores."""
    return tmp_path / "here"


@pytest.fixture
def tables(there, make_outcomes):
    """Two kept tables and their titles."""
    kept = [
        make_outcomes(seed=seed, meta={"seed": seed, "unit": "nats"}, higher_is_better=seed == 1) for seed in (0, 1)
    ]
    return {save_run(table, there): title for table, title in zip(kept, ("first", "zweite “Tabelle”"), strict=True)}


@pytest.fixture
def project(there):
    """A kept project, of every kind of file."""
    folder = there / "projects" / "new"
    (folder / "model").mkdir(parents=True)
    (folder / "project.json").write_text('{"title": "mine"}')
    np.savez(folder / "suite.npz", x=np.arange(1000))
    (folder / "weights.safetensors").write_bytes(bytes(300))
    (folder / "samples.csv").write_text("a,b\n1,2\n" * 100)
    for name in ("config.json", "model-00001-of-00002.safetensors", "vocab.txt", "tokenizer.model"):
        (folder / "model" / name).write_bytes(b"{}")
    name = project_hash(folder)
    folder.rename(folder.with_name(name))
    return name


@pytest.fixture(autouse=True)
def _projects_of_any_content(monkeypatch):
    """What is in a project is for its own tests; here it needs a description and has the hash of its bytes."""
    monkeypatch.setattr("kernelsm.workspace.projects.project_key", project_hash)


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


# --- what is restored


def test_a_session_is_restored_on_another_computer(there, here, tables, project):
    first = next(iter(tables))
    data = write({**VIEW, "run": first}, tables, there, [project], pinned=["digits", first])
    session = restore(data, here)
    assert session.view == {**VIEW, "run": first}
    assert session.kept == {"tables": tables, "projects": {project: ""}, "prompts": {}}
    assert session.pinned == ("digits", first)
    for name in tables:
        before, after = TABLES.load(name, there), TABLES.load(name, here)
        assert after.content_hash == before.content_hash == name
        assert after.meta == before.meta
        assert after.higher_is_better == before.higher_is_better
    assert contents(here / "projects" / project) == contents(there / "projects" / project)
    assert sorted(path.name for path in here.iterdir()) == ["projects", "runs"]
    with pytest.raises(FrozenInstanceError):
        session.view = {}


def test_a_session_may_come_from_a_path(there, here, tables, tmp_path):
    path = tmp_path / "anything.bin"
    path.write_bytes(write(VIEW, tables, there))
    assert restore(path, here).kept["tables"] == tables
    with pytest.raises(FileNotFoundError):
        restore(tmp_path / "none.zip", here)


def test_a_session_of_an_example_holds_no_table(there, here):
    session = restore(write({"run": "digits"}, {}, there), here)
    assert session.view == {"run": "digits"}
    assert not any(session.kept.values())


def test_tables_that_only_the_view_or_the_pins_name_go_along(there, here, tables):
    first, second = tables
    session = restore(write({"run": first}, {}, there, pinned=[second]), here)
    assert session.kept["tables"] == dict.fromkeys(tables, "")


def test_restoring_twice_changes_nothing(there, here, tables, project):
    data = write(VIEW, tables, there, [project])
    restore(data, here)
    # what belongs to this computer stays
    sheet = here / "projects" / project / "renamed.json"
    sheet.write_text("{}")
    before = contents(here)
    assert restore(data, here).kept["tables"] == tables
    assert contents(here) == before


def test_a_damaged_table_is_mended_by_restoring_a_good_one(there, here, tables):
    data = write(VIEW, tables, there)
    restore(data, here)
    name = next(iter(tables))
    (here / "runs" / f"{name}.parquet").write_bytes(b"damaged")
    restore(data, here)
    assert TABLES.load(name, here).content_hash == name


def test_the_same_session_is_the_same_file(there, tables, project):
    reverse = dict(reversed(tables.items()))
    first, second = (write(VIEW, titles, there, [project]) for titles in (tables, reverse))
    assert first == second


def test_a_session_written_again_by_a_usual_zip_tool_is_restored(there, here, tables, project):
    members = unzipped(write(VIEW, tables, there, [project]))
    folders = {"runs/": b"", "projects/": b"", f"projects/{project}/": b""}
    assert restore(zipped({**folders, **members}), here).kept["projects"] == {project: ""}


# --- what is refused


def unzipped(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def members(there, tables, project):
    """The entries of a good session file."""
    return unzipped(write(VIEW, tables, there, [project]))


@pytest.fixture
def occupied(here, make_outcomes):
    """A cache that holds something already."""
    save_run(make_outcomes(seed=9), here)
    return here


@pytest.mark.parametrize(
    "entry",
    [
        "evil.pkl", "runs/evil.pkl", "runs/RUN.pkl", "runs/RUN.parquet.pkl", "runs/RUN.csv", "runs/x.parquet",
        "runs/RUNRUN.parquet", "runs/RUN.PARQUET", "runs/sub/RUN.parquet", "runs/.RUN.parquet", "RUN.parquet",
        "projects/evil.json", "projects/x/a.json", "projects/RUN/a.pkl", "projects/RUN/a.pt", "projects/RUN/a.bin",
        "projects/RUN/a.json.pickle", "projects/RUN/a.py", "projects/RUN/a", "projects/RUN/.hidden.json",
        "projects/RUN/.json", "projects/RUN/-rf.json", "projects/RUN/a b.json", "projects/RUN/a.txt",
        "projects/RUN/model/a.sh", "projects/RUN/a/b/c/d/e.json", "projects/RUN/é.json", "projects/RUN/a.joblib",
        "store/joblib/x.pkl", "arrays/x/header.json", "sessions/x.json", "session.json.txt",
        "__MACOSX/._session.json",
        "README", "projects/RUN/a;b.csv", "projects/RUN/$(x).csv", "projects/RUN/model/b/vocab.txt",
    ],
)  # fmt: skip
def test_an_entry_of_another_form_is_refused_by_its_name(members, occupied, entry):
    entry = entry.replace("RUN", "0" * 40)
    error = refused(zipped({**members, entry: b"{}"}), occupied)
    assert entry in error.place
    assert error.found == "an entry that no session has"


@pytest.mark.parametrize(
    "entry",
    ["../evil.json", "runs/../../evil.parquet", "/evil.json", "C:/evil.json", "projects/../../evil.json", "..",
     "a//b.json", "runs\\..\\evil.json", "projects/" + "0" * 40 + "/../../../evil.json", "runs/\x07evil.parquet",
     "./evil.json"],
)  # fmt: skip
def test_an_entry_that_would_leave_the_folder_is_refused(members, occupied, tmp_path, entry):
    before = sorted(tmp_path.rglob("*evil*"))
    refused(zipped({**members, entry: b"{}"}), occupied)
    assert sorted(tmp_path.rglob("*evil*")) == before == []


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(members, occupied, tables, kind):
    link = zipfile.ZipInfo(f"projects/{'0' * 40}/a.json")
    link.external_attr = (kind | 0o777) << 16
    buffer = io.BytesIO(zipped(members))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(buffer.getvalue(), occupied)


def test_a_table_whose_content_is_not_its_name_is_refused(members, occupied, tables):
    first, second = (f"runs/{name}.parquet" for name in tables)
    error = refused(zipped({**members, first: members[second]}), occupied)
    assert error.place == f"s.zip, {first}"
    assert error.found == f"content of the hash {list(tables)[1]}"


def test_a_table_with_a_changed_value_is_refused(members, occupied, there, tables, tmp_path):
    name = next(iter(tables))
    table = TABLES.load(name, there)
    values = table.values.copy()
    values[3, 1] = np.nextafter(values[3, 1], np.inf)
    changed = Outcomes(table.masks, values, meta=table.meta, higher_is_better=table.higher_is_better)
    data = changed.save(tmp_path / "changed.parquet").read_bytes()
    assert "content of the hash" in refused(zipped({**members, f"runs/{name}.parquet": data}), occupied).found


@pytest.mark.parametrize("content", [b"", b"PAR1", b"task:a,target:x\n1,2\n0,3\n", pickle.dumps([1])])
def test_what_is_no_table_is_refused(members, occupied, tables, content):
    entry = f"runs/{max(tables)}.parquet"  # the last that is looked at
    assert refused(zipped({**members, entry: content}), occupied).place == f"s.zip, {entry}"


def test_a_changed_project_is_refused(members, occupied, project):
    entry = f"projects/{project}/weights.safetensors"
    changed = zipped({**members, entry: members[entry][:-1] + b"\x01"})
    error = refused(changed, occupied)
    assert error.place == f"s.zip, projects/{project}"
    assert "content of the hash" in error.found
    more = zipped({**members, f"projects/{project}/more.csv": b"a\n1\n"})
    assert refused(more, occupied).place == f"s.zip, projects/{project}"


def test_a_project_that_its_reader_refuses_is_refused(members, occupied, project):
    without = {name: content for name, content in members.items() if not name.endswith("project.json")}
    error = refused(zipped(without), occupied)
    assert error.place == f"s.zip, projects/{project}, project.json"
    assert error.found == "no such file"


def described(**changes):
    """Change fields of the description; None removes one."""

    def change(members):
        content = {**json.loads(members["session.json"]), **changes}
        kept = {key: value for key, value in content.items() if value is not None}
        return {**members, "session.json": json.dumps(kept)}

    return change


@pytest.mark.parametrize(
    ("change", "place", "found"),
    [
        (lambda m: {k: v for k, v in m.items() if k != "session.json"}, "session.json", "no such entry"),
        (lambda m: {**m, "session.json": b""}, "session.json", "no JSON (Expecting value"),
        (lambda m: {**m, "session.json": b"[" * 10**5}, "session.json", "lists within lists"),
        (lambda m: {**m, "session.json": b"\xff\xfe\xfd"}, "session.json", "not UTF-8 at position 0"),
        (lambda m: {**m, "session.json": b"9" * 10_000}, "session.json", "no JSON (Exceeds the limit"),
        (lambda m: {**m, "session.json": pickle.dumps({"version": 1})}, "session.json", "not UTF-8"),
        (lambda m: {**m, "session.json": b"[1]"}, "session.json", "a JSON list"),
        (lambda m: {**m, "session.json": b" " * (2**24 + 1)}, "session.json", "16.0 MiB"),
        (described(version=2), "session.json", "version 2"),
        (described(version="1"), "session.json", "version '1'"),
        (described(version=True), "session.json", "version True"),
        (described(version=1.0), "session.json", "version 1.0"),
        (described(version=None), "session.json", "version None"),
        (described(code="import os"), "session.json", "the field 'code'"),
        (described(view=None), "session.json, view", "None"),
        (described(view=["run"]), "session.json, view", "['run']"),
        (described(view={"gamma": 0.1}), "session.json, view, 'gamma'", "0.1"),
        (described(view={"run": "0" * 40}), "session.json, view", "'0000"),
        (described(view={"target": "a\nb"}), "session.json, view, 'target'", "a\\nb"),
        (described(view={"target": "x" * 4001}), "session.json, view, 'target'", "xxx"),
        (described(view={str(n): "" for n in range(1001)}), "session.json, view", "1,001 entries"),
        (described(titles=None), "session.json, titles", "None"),
        (described(titles={"0" * 40: "gone"}), "session.json, titles", "'0000"),
        (described(titles={"../x": "gone"}), "session.json, titles", "'../x'"),
        (described(titles={"0" * 40: 5}), "session.json, titles, '0000", "5"),
        (described(titles={"0" * 40: "\x1b[31m"}), "session.json, titles, '0000", "x1b"),
        (described(titles={"0" * 40: "t" * 301}), "session.json, titles, '0000", "ttt"),
        (described(pinned="digits"), "session.json, pinned", "'digits'"),
        (described(pinned=[1]), "session.json, pinned", "[1]"),
        (described(pinned=["../x"]), "session.json, pinned", "['../x']"),
        (described(pinned=["0" * 40]), "session.json, pinned", "'0000"),
    ],
    ids=range(31),
)
def test_a_wrong_description_is_refused_where_it_is_wrong(members, occupied, change, place, found):
    error = refused(zipped(change(members)), occupied)
    assert error.place.startswith(f"s.zip, {place}")
    assert found in error.found


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(members, occupied, kept):
    data = zipped(members)
    refused(data[: int(kept * len(data))], occupied)


@pytest.mark.parametrize("data", [b"", b"session", pickle.dumps({"version": 1}), b"PK\x03\x04"])
def test_what_is_no_archive_is_refused(here, data):
    refused(data, here)


def test_a_file_with_changed_bytes_is_refused_or_restored_right(there, here, tables, make_outcomes):
    data = write(VIEW, tables, there)
    rng = np.random.default_rng(0)
    refusals = 0
    for _ in range(150):
        damaged = bytearray(data)
        for place in rng.integers(len(damaged), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        try:
            session = restore(bytes(damaged), here)
        except InputError:
            refusals += 1
            assert not contents(here)
        else:  # a byte that carries no meaning
            assert (session.view, session.kept["tables"]) == (VIEW, tables)
            for run in session.kept["tables"]:
                assert TABLES.load(run, here).content_hash == run
                TABLES.delete(run, here)
    assert refusals > 75


def test_an_entry_twice_is_refused(members, occupied):
    buffer = io.BytesIO(zipped(members))
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("session.json", members["session.json"])
    refused(buffer.getvalue(), occupied)


def test_more_than_the_limits_allow_is_refused(members, occupied, project, monkeypatch):
    big = {**members, f"projects/{project}/big.csv": b"0" * (3 * 2**20)}
    monkeypatch.setenv("KERNELSM_MAX_UNPACKED_MEGABYTES", "2")
    assert len(zipped(big)) < 2**17
    refused(zipped(big), occupied)
    monkeypatch.delenv("KERNELSM_MAX_UNPACKED_MEGABYTES")
    monkeypatch.setenv("KERNELSM_MAX_FILES", "5")
    refused(zipped(members), occupied)
    monkeypatch.delenv("KERNELSM_MAX_FILES")
    monkeypatch.setenv("KERNELSM_MAX_MEGABYTES", "1")
    assert refused(zipped(members) + bytes(2**20), occupied).found == "2 MiB"


def test_a_table_is_not_read_beyond_the_size_of_a_table(members, occupied, tables, monkeypatch):
    monkeypatch.setenv("KERNELSM_MAX_MEGABYTES", "1")
    entry = f"runs/{min(tables)}.parquet"
    error = refused(zipped({**members, entry: bytes(2**21)}), occupied)
    assert (error.place, error.found) == (f"s.zip, {entry}", "2 MiB")


def test_a_move_that_fails_takes_back_what_was_moved(members, here, tables, project, monkeypatch):
    here.mkdir()
    (here / "runs").write_text("a file where the folder should be")  # tables are moved last
    with pytest.raises(InputError, match="folder of the cache"):
        restore(zipped(members), here)
    assert contents(here) == {"runs": b"a file where the folder should be"}


# --- what is not written


def test_a_session_of_what_is_not_here_is_not_written(there, tables, project):
    with pytest.raises(InputError, match="nothing"):
        write(VIEW, {**tables, "0" * 40: "gone"}, there)
    with pytest.raises(InputError, match="nothing"):
        write({"run": "0" * 40}, {}, there)
    for name in ("0" * 40, "../runs", "", project[:39]):
        with pytest.raises(InputError, match="nothing"):
            write(VIEW, tables, there, [name])


def test_a_damaged_table_is_not_written(there, tables):
    first, second = (there / "runs" / f"{name}.parquet" for name in tables)
    second.write_bytes(first.read_bytes())
    with pytest.raises(InputError, match="as its name says"):
        write(VIEW, tables, there)
    second.write_bytes(b"damaged")
    with pytest.raises(InputError, match="whole Parquet file"):
        write(VIEW, tables, there)


@pytest.mark.parametrize("name", ["evil.pkl", "state.joblib", "a.py", "notes.txt"])
def test_a_project_with_an_unknown_file_is_not_written(there, project, name):
    (there / "projects" / project / name).write_bytes(b"x")
    with pytest.raises(InputError, match=name):
        write(VIEW, {}, there, [project])


def test_a_link_in_a_project_is_not_followed(there, tmp_path, project):
    (tmp_path / "secret.json").write_text("{}")
    (there / "projects" / project / "link.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(InputError, match=r"link\.json"):
        write(VIEW, {}, there, [project])


def test_a_session_that_could_not_be_read_again_is_not_written(there, tables, project, monkeypatch):
    with pytest.raises(InputError, match="one line"):
        write({"target": "a\nb"}, {}, there)
    with pytest.raises(InputError, match="one line"):
        write(VIEW, dict.fromkeys(tables, "t" * 301), there)
    with pytest.raises(InputError, match="pinned"):
        write(VIEW, {}, there, pinned=["../x"])
    monkeypatch.setenv("KERNELSM_MAX_FILES", "4")
    with pytest.raises(InputError, match="files"):
        write(VIEW, tables, there, [project])
    monkeypatch.delenv("KERNELSM_MAX_FILES")
    monkeypatch.setenv("KERNELSM_MAX_MEGABYTES", "1")
    (there / "projects" / project / "weights.safetensors").write_bytes(bytes(2**21))
    with pytest.raises(InputError, match="MiB"):
        write(VIEW, tables, there, [project])


TEXTS = (Labelled("größe, 日本語", "yes"), Labelled("{a}\n", "no"))
SOURCE = PromptSource("Meine Texte", PromptTask(TEXTS, TEXTS, (), ("yes", "no"), k=2), "someone/model")


def entries(key, content=None, **more):
    """A session file of nothing but prompts, with their entry changed."""
    sink = io.BytesIO()
    description = {"version": 1, "view": {}, "titles": {}, "pinned": []}
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("session.json", json.dumps(description))
        for name, text in {f"prompts/{key}.json": content, **more}.items():
            if text is not None:
                archive.writestr(name, text)
    return sink.getvalue()


def test_prompts_are_restored_with_their_title(there, here, tables):
    key = keep_prompts(SOURCE, there)
    data = write(VIEW, tables, there, prompts=[key, key])
    assert data == write(VIEW, tables, there, prompts=[key])
    found = restore(data, here)
    assert found.kept == {"tables": tables, "projects": {}, "prompts": {key: ""}}
    assert find_prompts(key, here).title == "Meine Texte"
    assert find_prompts(key, here).task.to_dict() == SOURCE.task.to_dict()
    # how fast the other computer was says nothing here
    keep_prompts(replace(SOURCE, pace=9.0), there)
    restore(write(VIEW, tables, there, prompts=[key]), here)
    assert find_prompts(key, here).pace is None
    # and again, over what is here
    (here / "prompts" / f"{key}.json").write_text("damaged")
    restore(data, here)
    assert PROMPTS.opens(key, here)


@pytest.mark.parametrize("key", ["movie-reviews", "0" * 40, "../runs/x", ""])
def test_prompts_that_are_not_kept_are_not_saved(there, key):
    with pytest.raises(InputError) as caught:
        write(VIEW, {}, there, prompts=[key])
    assert caught.value.place == "prompts"


def test_prompts_that_were_deleted_or_damaged_are_not_saved(there):
    key = keep_prompts(SOURCE, there)
    file = there / "prompts" / f"{key}.json"
    file.write_text(file.read_text().replace("yes", "yea"))
    with pytest.raises(InputError, match="damaged"):
        write(VIEW, {}, there, prompts=[key])
    PROMPTS.delete(key, there)
    with pytest.raises(InputError):
        write(VIEW, {}, there, prompts=[key])


def test_changed_prompts_are_refused(there, here):
    key = keep_prompts(SOURCE, there)
    fine = (there / "prompts" / f"{key}.json").read_text()
    assert restore(entries(key, fine), here).kept["prompts"] == {key: ""}
    PROMPTS.delete(key, here)
    for data in (
        entries(key, fine.replace("yes", "yea")),
        entries(key, ""),
        entries(key, "[]"),
        entries("0" * 40, fine),
        entries("movie-reviews", fine),
        entries(f"../{key}", fine),
        entries(f"x/{key}", fine),
        entries(key, None, **{f"prompts/{key}.pkl": "x"}),
        entries(key, fine, **{f"prompts/{key}/x.json": "x"}),
    ):
        refused(data, here)
        assert not PROMPTS.opens(key, here)


@pytest.mark.parametrize(("limit", "told"), [("TASKS", "2 candidates"), ("TARGETS", "2 queries")])
def test_more_texts_than_a_file_may_hold_are_refused(there, here, monkeypatch, limit, told):
    key = keep_prompts(SOURCE, there)
    data = write(VIEW, {}, there, prompts=[key])
    monkeypatch.setenv(f"KERNELSM_MAX_{limit}", "1")
    assert told in refused(data, here).found


def test_a_title_of_prompts_is_made_one_line(there, here):
    key = keep_prompts(SOURCE, there)
    sheet = json.loads((there / "prompts" / f"{key}.json").read_text())
    restore(entries(key, json.dumps({**sheet, "title": "a\nb", "more": 1})), here)
    assert find_prompts(key, here).title == "a b"
    assert "more" not in (here / "prompts" / f"{key}.json").read_text()
