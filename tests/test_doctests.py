"""The examples in docstrings run, and every public name has one."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import kernelsm

FURTHER = (
    {f"kernelsm.export.{name}" for name in ("result", "report", "report_charts", "notebook", "tables", "csv_text")}
    | {"kernelsm.surrogates.base", "kernelsm.evaluation.method_scores", "kernelsm.runtime.timed_store"}
    | {f"kernelsm.evaluation.{name}" for name in ("views", "two_views", "two_views_words", "rank_agreement")}
    | {"kernelsm.export.two_views", "kernelsm.outcomes.units", "kernelsm.prompts.calibration"}
    | {f"kernelsm.attributors.{file.stem}" for file in Path(kernelsm.__file__).parent.glob("attributors/*.py")}
)
MODULES = sorted(set(kernelsm._HOME.values()) | FURTHER - {"kernelsm.attributors.__init__"})
# methods that a user calls first
FIRST_CALLS = {
    "Outcomes": (
        "split",
        "take",
        "target",
        "mean_target",
        "mean_over_targets",
        "to_frame",
        "from_frame",
        "save",
        "load",
    ),
    "KernelSurrogate": (
        "fit",
        "fit_outcomes",
        "predict",
        "predict_change",
        "attribution",
        "interactions",
        "pair_means",
    ),
    "Attribution": ("top", "sentence", "to_frame", "load"),
    "Interactions": ("top", "to_frame", "load"),
    "TaskSuite": ("sample_weights",),
}


def examples_of(thing: Any) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(thing.__doc__ or "")


def documented(module: str) -> list[doctest.DocTest]:
    found = doctest.DocTestFinder(exclude_empty=True).find(import_module(module))
    return [test for test in found if test.examples]


@pytest.mark.parametrize(
    "test", [test for module in MODULES for test in documented(module)], ids=lambda test: test.name
)
def test_the_example_of_a_docstring_runs(
    test: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # examples write files
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    told: list[str] = []
    result = runner.run(test, out=told.append)
    assert result.attempted
    assert not result.failed, "".join(told)


@pytest.mark.parametrize("name", kernelsm.__all__)
def test_every_public_name_has_an_example(name: str) -> None:
    thing = getattr(kernelsm, name)
    assert examples_of(thing), f"kernelsm.{name} has no Examples section"
    for method in FIRST_CALLS.get(name, ()):
        assert examples_of(getattr(thing, method)), f"kernelsm.{name}.{method} has no Examples section"


def test_no_example_prints_a_number_to_its_last_digit() -> None:
    for module in MODULES:
        for test in documented(module):
            for example in test.examples:
                long = [word for word in example.want.replace(",", " ").split() if len(word.partition(".")[2]) > 6]
                assert not [word for word in long if word[-1].isdigit()], f"{test.name}: {example.want}"
