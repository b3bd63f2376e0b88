"""Session files: what was saved is restored, and what could not be restored is not saved."""

from dataclasses import FrozenInstanceError

import pytest
from session_files import VIEW, contents, restore, unzipped, write, zipped

from kernelsm import InputError
from kernelsm.workspace.tables import TABLES

pytestmark = pytest.mark.usefixtures("projects_of_any_content")


# --- what is restored


def test_a_session_is_restored_on_another_computer(there, here, tables, project):
    first = next(iter(tables))
    data = write({**VIEW, "run": first}, tables, there, [project], pinned=["digits", first])
    session = restore(data, here)
    assert session.view == {**VIEW, "run": first}
    assert session.kept == {"tables": tables, "projects": {project: ""}, "prompts": {}, "confirmations": {}}
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
