"""Whatever is brought, however broken: it ends in words that name the place and the way out, nothing else changes."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from bad_files import code, objects, trap
from bad_inputs_by_fault import DAMAGED, HARMFUL, LIMITED, MEANT, MISLABELLED, SPOILED
from bad_inputs_by_file import FEATURES, NAMED, NETWORKS, OUTCOMES, SESSIONS
from bringing import Before, state

from kernelsm import InputError
from kernelsm.runtime.store import cache_root
from kernelsm.workspace.projects import PROJECTS, project_key
from kernelsm.workspace.tables import TABLES

pytestmark = pytest.mark.usefixtures("work_before")


BAD = [
    *DAMAGED, *MISLABELLED, *SPOILED, *MEANT, *LIMITED, *HARMFUL, *NETWORKS, *FEATURES, *SESSIONS, *OUTCOMES, *NAMED,
]  # fmt: skip


# what stands in messages of Python, and where this server keeps things
NEVER_TOLD = ("Traceback", 'File "', "site-packages", "/tmp", "object at 0x", "uploads/", "<class")


@pytest.mark.parametrize(("bring", "place", "found", "limits"), BAD)
def test_what_is_wrong_is_told_and_nothing_else_changes(bring, place, found, limits, home, monkeypatch):
    with monkeypatch.context() as patch:
        for name, value in limits.items():
            patch.setenv(f"KERNELSM_MAX_{name}", str(value))
        with pytest.raises(InputError) as caught:
            bring()
    error = caught.value
    assert place in error.place
    assert found in error.found
    for part in (error.place, error.found, error.expected, error.fix):
        assert part.strip()
        assert part.isprintable()
        assert len(part) <= 400
    assert error.fix.strip()[-1] in ".?)"
    assert not [word for word in (*NEVER_TOLD, str(home)) if word in str(error)]
    assert not (home / "ran").exists()
    assert state(cache_root()) == Before.state


def test_the_work_before_still_opens():
    assert TABLES.load(Before.run).content_hash == Before.run
    assert PROJECTS.load(Before.project).title == "Mine"
    assert project_key(cache_root() / "projects" / Before.project) == Before.project


def test_every_kind_of_harm_would_be_seen(home):
    pickle.loads(trap())
    assert (home / "ran").exists()
    (home / "ran").unlink()
    with np.load(io.BytesIO(objects()), allow_pickle=True) as file:
        assert len(file["x"]) == 60
    assert (home / "ran").exists()
    (home / "ran").unlink()
    exec(code())
    assert (home / "ran").exists()
    (home / "ran").unlink()
