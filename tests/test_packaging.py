"""What an installed package brings along, and what works with the table wing alone."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

HOME = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
PINNED = {
    pin.name: str(next(iter(pin.specifier))).removeprefix("==")
    for pin in (
        Requirement(line.split("#")[0])
        for line in (HOME / "requirements.txt").read_text().splitlines()
        if line.split("#")[0].strip()
    )
}
# what `pip install kernelsm` leaves out is not found, whatever is installed here
BLOCK = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in (
            "torch", "transformers", "safetensors", "gguf", "peft", "streamlit", "plotly", "jinja2"
        ):  # fmt: skip
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
"""


def with_the_table_wing_alone(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCK + code], cwd=HOME, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=HOME, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_pages_and_settings_travel_beside_the_script(wheel: zipfile.ZipFile) -> None:
    site = {name.removeprefix("kernelsm/app/site/") for name in wheel.namelist() if "/app/site/" in name}
    pages = {f"pages/{path.name}" for path in (HOME / "pages").glob("*.py")}
    assert site == {"app.py", ".streamlit/config.toml", *pages}


def test_every_file_of_the_package_travels_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "kernelsm"],
        cwd=HOME, capture_output=True, text=True, check=True,
    )  # fmt: skip
    files = {name for name in listed.stdout.splitlines() if (HOME / name).exists()}
    assert "kernelsm/py.typed" in files
    packed = {name for name in wheel.namelist() if "/app/site/" not in name and ".dist-info/" not in name}
    assert packed == files


def test_the_pinned_set_lies_within_the_ranges_and_covers_them() -> None:
    extras = PROJECT["optional-dependencies"]
    ranges = [Requirement(text) for text in (*PROJECT["dependencies"], *extras["models"], *extras["app"])]
    named = {requirement.name: requirement for requirement in ranges if requirement.name != "kernelsm"}
    assert set(named) == set(PINNED)
    for name, pin in PINNED.items():
        assert named[name].specifier.contains(pin), f"{name}=={pin} is not in {named[name]}"


def test_the_version_of_the_package_is_that_of_the_newest_release_in_the_changelog() -> None:
    import kernelsm

    newest = re.search(r"^## \[(\d[^]]*)\]", (HOME / "CHANGELOG.md").read_text(), flags=re.M)
    assert newest
    assert kernelsm.__version__ == PROJECT["version"] == newest[1]


def test_a_table_is_fitted_and_read_without_torch_plotly_and_streamlit() -> None:
    done = with_the_table_wing_alone(
        """
from kernelsm import bernoulli_masks, default_surrogate, lds, load_example, load_truth, Outcomes

outcomes = load_example("planted")
g = default_surrogate().fit_outcomes(outcomes)
print(g.attribution().top(1)["words"][0])
print(g.interactions().top(1)["kind"][0])
truth = load_truth("planted")
assert lds(truth.values, g.predict(truth.masks)) > 0.8
masks = bernoulli_masks(4, 30)
Outcomes(masks, masks.sum(axis=1)).split(0.5)
print(sorted({"torch", "plotly", "streamlit"} & set(sys.modules)))
"""
    )
    assert done.returncode == 0, done.stderr
    words, kind, loaded = done.stdout.splitlines()
    assert re.match(r"Including .* (lowers|raises) the loss by \d", words)
    assert kind in ("synergy", "redundancy or conflict")
    assert loaded == "[]"


def test_every_module_of_the_table_wing_can_be_imported_without_them() -> None:
    wing = ("outcomes", "surrogates", "evaluation", "selection", "files", "samples", "tasks")
    modules = [
        f"kernelsm.{part}.{file.stem}" for part in wing for file in (HOME / "kernelsm" / part).glob("[!_]*.py")
    ]
    done = with_the_table_wing_alone(f"import importlib\nfor name in {modules}: importlib.import_module(name)")
    assert done.returncode == 0, done.stderr


def test_a_public_name_that_needs_torch_says_what_to_install() -> None:
    done = with_the_table_wing_alone(
        """
import kernelsm

for name in kernelsm.__all__:
    try:
        getattr(kernelsm, name)
    except ImportError as error:
        print(error)
"""
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert "kernelsm.GradEx needs torch, which is not installed: pip install 'kernelsm[models]'" in told
    assert all(line.endswith("pip install 'kernelsm[models]'") for line in told)
    names = {line.split()[0].removeprefix("kernelsm.") for line in told}
    needed = {"GradEx", "GradientFeatures", "Retraining", "adapted_features", "build_model", "gradient_features"}
    assert names == needed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["app"], "needs streamlit, which is not installed: pip install 'kernelsm[app]'"),
        (["features", "x.py:make", "x.npz"], "needs torch, which is not installed: pip install 'kernelsm[models]'"),
    ],
)
def test_a_command_that_needs_an_extra_says_so_in_one_line(arguments: list[str], said: str) -> None:
    done = with_the_table_wing_alone(f"from kernelsm.__main__ import main\nsys.exit(main({arguments}))")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"kernelsm: python -m kernelsm {arguments[0]} {said}"]
