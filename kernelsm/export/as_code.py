"""A view as code: the command line and the Python that give the numbers on screen."""

from __future__ import annotations

import shlex

from kernelsm.export.result import Settings
from kernelsm.outcomes.table import Outcomes
from kernelsm.surrogates.reading import MEAN_TARGET, TUNING_ROWS, pair_readout_of, task_size_of, usual_readout


def command_line(outcomes: Outcomes, settings: Settings, table: str, command: str = "fit", out: str = "") -> str:
    """Return the command that computes what these settings show.

    Parameters
    ----------
    outcomes : Outcomes
    settings : Settings
    table : str
        Name of an example, or of a file.
    command : {"fit", "report", "notebook", "tables"}
    out : str
        File to write; "" for none.
    """
    words = ["python", "-m", "kernelsm", command, "./" + table if table.startswith("-") else table]
    # with "=" a name may begin with a dash
    words += [f"--target={settings.target}"] if settings.target else []
    kernel, gamma, ridge = settings.surrogate()
    if kernel != "auto":
        words += ["--kernel", kernel, "--ridge", f"{ridge!r}"]
        words += ["--gamma", f"{gamma!r}"] if gamma is not None else []
    if settings.readout != usual_readout(outcomes):
        words += ["--readout", settings.readout]
    words += ["--used", str(settings.used)] if settings.used is not None else []
    words += ["--out", out] if out else []
    return shlex.join(words)


def python_code(outcomes: Outcomes, settings: Settings, table: str, *, is_example: bool) -> str:
    """Return the Python that computes what these settings show, without a browser."""
    load = f"load_example({table!r})" if is_example else f"Outcomes.load({table!r})"
    first = (
        [] if settings.used is None else [f"outcomes = outcomes.take(range({settings.used}))  # the first of them"]
    )
    return "\n".join(
        [load_lines(load, settings), *first, "", fit_lines(outcomes, settings), "", read_lines(outcomes, settings)]
    )


def load_lines(load: str, settings: Settings) -> str:
    """Imports, and the table; `load` is the expression that gives it."""
    kernel = settings.kernel
    surrogate = {"auto": "AutoSurrogate", "linear": "LinearSurrogate"}.get(kernel, "KernelSurrogate")
    names = sorted({surrogate, load.split("(")[0].split(".")[0]}, key=str.casefold)
    return f"from kernelsm import {', '.join(names)}\n\noutcomes = {load}"


def fit_lines(outcomes: Outcomes, settings: Settings) -> str:
    """The lines that fit `g` to one target of `outcomes`."""
    kernel, gamma, ridge = settings.surrogate()
    target = settings.target
    if kernel == "auto":
        made = f'AutoSurrogate(scales=("identity",), tuning_rows={TUNING_ROWS})'
        if target:
            return (
                "# effects are differences of the outcome: they are read off its own scale\n"
                f"g = {made}.fit_outcomes(outcomes).on_own_scale().of_target({target!r})"
            )
    elif kernel == "linear":
        made = f"LinearSurrogate(ridge={ridge!r})"
    else:
        made = f'KernelSurrogate(kernel="{kernel}", gamma={gamma!r}, ridge={ridge!r}, coef0=1.0)'
    if target:
        one = f"outcomes.target({target!r})"
    else:
        one = "outcomes" if outcomes.q == 1 else f'outcomes.mean_target("{MEAN_TARGET}")'
    return f"g = {made}.fit_outcomes({one})"


def read_lines(outcomes: Outcomes, settings: Settings) -> str:
    """The lines that read effects and pairs off `g`, and print the strongest."""
    readout = settings.readout
    kind, pair_size = pair_readout_of(outcomes, readout)
    size = task_size_of(outcomes, readout)
    lines = [f'effects = g.attribution("{readout}"{f", size={size}" if size else ""})']
    if outcomes.K > 1:
        lines.append(f'pairs = g.interactions("{kind}"{f", size={pair_size}" if pair_size else ""})')
    lines.append('print(*effects.top(5)["words"], sep="\\n")')
    if outcomes.K > 1:
        lines.append('print(*pairs.top(5)["words"], sep="\\n")')
    return "\n".join(lines)
