"""What the README promises in code is run as it stands."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


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


def test_every_path_the_readme_names_is_there():
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / path).exists(), path
    house = README.split("## The house")[1]
    for folder in re.findall(r"^  (\w+)/ ", house, flags=re.M):
        assert (ROOT / "kernelsm" / folder).is_dir(), folder


def test_every_make_target_the_readme_names_exists():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.M))
    named = set(re.findall(r"`make (\w+)|^make (\w+)|KERNELSM_PORT=9000 make (\w+)", README, flags=re.M))
    assert {"".join(match) for match in named} <= targets
