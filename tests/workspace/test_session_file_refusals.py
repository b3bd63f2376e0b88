"""Session files: whatever is wrong with a file, nothing of it is taken."""

import io
import json
import pickle
import stat
import zipfile

import numpy as np
import pytest
from session_files import VIEW, contents, refused, restore, unzipped, write, zipped

from kernelsm import InputError, Outcomes
from kernelsm.workspace.tables import TABLES, save_run

pytestmark = pytest.mark.usefixtures("projects_of_any_content")


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
