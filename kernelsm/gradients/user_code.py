"""A network and samples from a user's own Python code, run on the user's own computer by the command line."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import cloudpickle
from torch import nn

from kernelsm.runtime.errors import InputError
from kernelsm.tasks.suite import TaskSuite

_EXPECTED = "'FILE.py:FUNCTION', a function without arguments that returns (model, suite)"
_FIX = "See `As a library` in the README for both."
_MODULE = "kernelsm_own_code"  # not the file's name, which may be that of a module that others import


def model_and_suite(where: str) -> tuple[nn.Module, TaskSuite]:
    """Call a function of a Python file and return the network at W0 and the samples that it makes.

    Parameters
    ----------
    where : str
        "FILE.py:FUNCTION". The file is run: it must be one's own.

    Raises
    ------
    InputError
        No such file or function, a function that raises, or one that returns something else.
    """
    file, _, name = where.rpartition(":")
    path = Path(file)
    if not file or not name.isidentifier() or path.suffix != ".py" or not path.is_file():
        raise InputError("code", repr(where)[:160], _EXPECTED, _FIX)
    with _neighbours(path):
        function = _function(path, name)
        try:
            made = function()
        except Exception as error:
            found = f"{type(error).__name__}: {error}"[:200]
            raise InputError(f"{path.name}, {name}()", found, "(model, suite)", "Run it by itself.") from error
    if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Module)):
        kinds = [type(part).__name__ for part in made] if isinstance(made, tuple) else []
        found = f"({', '.join(kinds)})"[:200] if kinds else f"{type(made).__name__}"
        raise InputError(f"{path.name}, {name}()", found, "(model, suite)", _FIX)
    model, suite = made
    if not isinstance(suite, TaskSuite):
        found = f"{type(suite).__name__} in the second place"
        raise InputError(f"{path.name}, {name}()", found, "a kernelsm.TaskSuite", _FIX)
    return model, suite


@contextmanager
def _neighbours(path: Path) -> Iterator[None]:
    """Let a file import those beside it, as `python FILE.py` does."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    before = set(sys.modules)
    try:
        yield
    finally:
        # other processes cannot import them: what is sent to them takes their code along
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(folder + os.sep):
                cloudpickle.register_pickle_by_value(sys.modules[name])
        with suppress(ValueError):  # the file may have taken it out itself
            sys.path.remove(folder)


def _function(path: Path, name: str) -> Callable[[], Any]:
    spec = importlib.util.spec_from_file_location(_MODULE, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module  # dataclasses look themselves up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        found = f"{type(error).__name__}: {error}"[:200]
        raise InputError(path.name, found, "a file that runs", "Run it by itself.") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(path.name, f"no function {name!r}", _EXPECTED, _FIX)
    found_function: Callable[[], Any] = function
    return found_function
