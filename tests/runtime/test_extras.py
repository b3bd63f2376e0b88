"""What is said where a library of an extra is not installed."""

from __future__ import annotations

import pytest

from kernelsm.runtime.extras import MissingExtraError, needed_by


def missing(name: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(
    ("library", "extra"), [("torch", "models"), ("transformers.models.auto", "models"), ("streamlit", "app")]
)
def test_a_missing_library_names_the_extra_that_brings_it(library: str, extra: str) -> None:
    with pytest.raises(MissingExtraError) as told, needed_by("the dashboard"):
        raise missing(library)
    assert str(told.value) == (
        f"the dashboard needs {library.split('.')[0]}, which is not installed: pip install 'kernelsm[{extra}]'"
    )


def test_other_missing_modules_are_not_renamed() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'kernelsm\.nothing'"), needed_by("the dashboard"):
        raise missing("kernelsm.nothing")
