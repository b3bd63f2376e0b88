"""A cache with work in it, for tests of what must leave that work alone."""

from __future__ import annotations

import numpy as np
import pytest
from bad_files import GOOD
from bringing import Before, prepared, state

from kernelsm import Outcomes
from kernelsm.workspace.tables import save_run


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The cache of this module, with a project and a run in it."""
    patch = pytest.MonkeyPatch()
    place = tmp_path_factory.mktemp("server")
    patch.setenv("KERNELSM_CACHE", str(place / "cache"))
    Before.project = prepared("good.csv", GOOD)
    masks = np.random.default_rng(0).random((12, 3)) < 0.5
    Before.run = save_run(Outcomes(masks, masks @ [1.0, 2.0, 3.0]))
    Before.state = state(place / "cache")
    yield place
    patch.undo()


@pytest.fixture
def work_before(home, cache_folder, monkeypatch):
    """In place of an empty cache for each test: what is here before must outlive them all."""
    monkeypatch.setenv("KERNELSM_CACHE", str(home / "cache"))
