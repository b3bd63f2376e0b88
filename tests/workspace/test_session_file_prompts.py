"""Session files with prompts: restored with their title, or refused."""

import io
import json
import zipfile
from dataclasses import replace

import pytest
from session_files import VIEW, refused, restore, write

from kernelsm import InputError
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.workspace.prompt_projects import PROMPTS, PromptSource, find_prompts, keep_prompts

pytestmark = pytest.mark.usefixtures("projects_of_any_content")


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
    assert found.kept == {"tables": tables, "projects": {}, "prompts": {key: ""}, "confirmations": {}}
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
