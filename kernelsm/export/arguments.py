"""The arguments of `fit`, `report`, `notebook`, `tables` and `views`; it loads no library: --help comes at once."""

from __future__ import annotations

import argparse
from pathlib import Path

KERNELS = ("auto", "rbf", "poly", "linear")
READOUTS = ("leave_one_out", "inclusion", "shapley")
ENDINGS = {"report": ".html", "notebook": ".zip", "tables": ".zip"}


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to a parser."""
    fit = commands.add_parser("fit", help="fit a surrogate to a table, and print its fidelity, effects and pairs")
    report = commands.add_parser("report", help="write a result as one HTML file that opens without a network")
    notebook = commands.add_parser("notebook", help="write a result as a notebook with its data, in one zip")
    tables = commands.add_parser("tables", help="write effects, pairs and predictions as CSV and Parquet, in one zip")
    views = commands.add_parser("views", help="compare two views: tables, targets, surrogates or readouts")
    for parser in (fit, report, notebook, tables, views):
        parser.add_argument("table", help="a table of outcomes (.csv, .parquet, .npz, .json), or an example's name")
        parser.add_argument("--target", default="", help="one of its targets (default: their mean)")
        parser.add_argument("--kernel", choices=KERNELS, default="auto", help="default auto, which chooses by itself")
        parser.add_argument("--gamma", type=float, help="γ of rbf and poly (default 1/K)")
        parser.add_argument("--ridge", type=float, default=0.1, help="λ of all but auto (default 0.1)")
        parser.add_argument("--readout", choices=READOUTS, default="", help="default: what suits the table's subsets")
        parser.add_argument("--used", type=int, help="fit the first so many of its subsets (default all)")
        parser.add_argument(
            "--higher-is-better", action="store_true", help="outcomes are scores, where the table does not say"
        )
    for parser in (fit, report, notebook, tables):
        parser.add_argument("--truth", type=Path, help="a table to test on (default: an example's, else a fifth)")
    for parser in (report, views):
        _add_second_view(parser)
    views.add_argument("--top", type=int, default=10, help="how many tasks and pairs are listed (default 10)")
    views.add_argument("--json", action="store_true", help="print one JSON object instead")
    fit.add_argument("--top", type=int, default=5, help="how many effects and pairs are listed (default 5)")
    fit.add_argument("--json", action="store_true", help="print one JSON object instead")
    for name, parser in (("report", report), ("notebook", notebook), ("tables", tables)):
        parser.add_argument("--out", type=Path, required=True, help=f"file to write, {ENDINGS[name]}")
        parser.add_argument("--title", default="", help="default: the example's, or the name of the file")
        if name != "tables":
            parser.add_argument("--link", default="", help="address of the view, to stand in it")


def _add_second_view(parser: argparse.ArgumentParser) -> None:
    """Add what a second view has that the first has not; all else is as in the first."""
    same = "(default: as the first)"
    views = parser.add_argument_group("a second view beside it")
    views.add_argument("--with", dest="other", default="", metavar="TABLE", help=f"the second table {same}")
    views.add_argument("--with-target", help=f"its target, '' for their mean {same}")
    views.add_argument("--with-kernel", choices=KERNELS, help=f"its surrogate {same}")
    views.add_argument("--with-gamma", type=float, help=same)
    views.add_argument("--with-ridge", type=float, help=same)
    views.add_argument("--with-used", type=int, help=f"the first so many of its subsets {same}")
    views.add_argument("--with-readout", choices=READOUTS, help=same)
