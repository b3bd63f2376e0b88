"""Two computers: the tables and the project of one of them go to the other."""

import numpy as np
import pytest
from session_files import project_hash

from kernelsm.workspace.tables import save_run


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


@pytest.fixture
def projects_of_any_content(monkeypatch):
    """What is in a project is for its own tests; here it needs a description and has the hash of its bytes."""
    monkeypatch.setattr("kernelsm.workspace.projects.project_key", project_hash)
