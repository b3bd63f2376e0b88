"""The dashboard and the same without it.

`python -m kernelsm app|inspect|run|fit|report|notebook|tables|views|features|evaluate|example|drop|confirm|compare`;
`--help` says more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import get_args

from kernelsm.attributors.attributor import MethodCost
from kernelsm.evaluation.confirmation import WAYS
from kernelsm.examples.catalog import (
    EXAMPLES,
    PROMPT_EXAMPLES,
    UNFINISHED,
    get_example,
    load_estimates_of_truth,
    load_example,
    load_truth,
    results_folder,
)
from kernelsm.examples.mt10.example import MT10
from kernelsm.export.arguments import add_parsers as add_export_parsers
from kernelsm.gradients.choices import OF_RUNS, PROJECTIONS
from kernelsm.outcomes.designs import DESIGNS
from kernelsm.outcomes.table import Outcomes
from kernelsm.pipelines.compute import compute
from kernelsm.pipelines.run_settings import RunSettings, estimators
from kernelsm.runtime.errors import ConvergenceError, InputError, SchedulerLostError, WorkerDiedError
from kernelsm.runtime.executor_choice import environments_executor
from kernelsm.runtime.extras import MissingExtraError, needed_by
from kernelsm.runtime.progress import TerminalReport
from kernelsm.runtime.store import Store
from kernelsm.runtime.threads import limit_blas_threads
from kernelsm.surrogates.wording import amount
from kernelsm.tasks.weighting import FEW_SAMPLES, WEIGHTING_FIELDS, Weighting

_WITHOUT_CHUNKS = ("app", "inspect", "drop", "fit", "report", "notebook", "tables", "views")
_DESIGNS = [name.replace("_", "-") for name in (*DESIGNS, "auto")]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status (2: unusable input, 3: it cannot be computed, 130: stopped)."""
    options = _parser().parse_args(arguments)
    limit_blas_threads()
    try:
        with needed_by(f"python -m kernelsm {options.command}"), _executor(options.command):
            _COMMANDS[options.command](options)
    except (InputError, MissingExtraError, OSError) as error:
        print(f"kernelsm: {error}", file=sys.stderr)
        return 2
    except (ConvergenceError, WorkerDiedError) as error:
        print(f"kernelsm: {error}", file=sys.stderr)
        return 3
    except SchedulerLostError as error:
        print(f"kernelsm: {error}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("\nkernelsm: stopped; finished chunks are kept, run the same command to resume", file=sys.stderr)
        return 130
    return 0


def _executor(command: str) -> AbstractContextManager[object]:
    """What computes the chunks of a command; the dashboard's are computed by its jobs, in their own processes."""
    return nullcontext() if command in _WITHOUT_CHUNKS else environments_executor()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kernelsm", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    linearised = "what is linearised: auto, or for classes logits or margin (default auto)"
    designs = (
        "random (default: as drawn, like the finished examples), distinct (random without repeats), leave-outs (all "
        "tasks, all but one, all but two as far as they fit into two thirds of the subsets, then random ones), "
        "all (all 2^K), or auto (all where that takes at most two minutes, else leave-outs)"
    )
    retrained = "train W0 anew too: another processor ends in another network, and in other outcomes"

    app = commands.add_parser("app", help="start the dashboard; it runs until it is interrupted")
    app.add_argument(
        "--port", type=int, default=os.environ.get("STREAMLIT_SERVER_PORT", 8501),
        help="default STREAMLIT_SERVER_PORT, or 8501",
    )  # fmt: skip
    app.add_argument(
        "--address", default=os.environ.get("STREAMLIT_SERVER_ADDRESS", "127.0.0.1"),
        help="default STREAMLIT_SERVER_ADDRESS, or 127.0.0.1: seen from this computer alone",
    )  # fmt: skip

    inspect = commands.add_parser("inspect", help="what is seen in a file or model: columns, meanings, families")
    inspect.add_argument("path", type=Path, help="samples, a table of outcomes, or a Hugging Face model")

    run = commands.add_parser("run", help="compute the outcomes of subsets of an example's tasks, or of your own")
    of_what = run.add_mutually_exclusive_group(required=True)
    of_what.add_argument("--example", choices=EXAMPLES)
    of_what.add_argument("--samples", type=Path, help="your file of samples, with --mapping")
    run.add_argument("--mapping", type=Path, help="what its columns mean: the mapping file of Data & model")
    run.add_argument("--weights", type=Path, help="weights of your network (.safetensors), instead of training one")
    run.add_argument("--description", type=Path, help="the JSON that says which architecture the weights are of")
    run.add_argument("--subsets", type=int, default=400, help="how many subsets, m (default 400)")
    run.add_argument("--design", choices=_DESIGNS, default="random", help=designs)
    run.add_argument("--estimator", help="gradex, retraining or game (default: the example's first)")
    run.add_argument("--p", type=float, default=0.5, help="inclusion probability of random subsets (default 0.5)")
    run.add_argument("--size", type=int, help="tasks per random subset, instead of --p")
    run.add_argument("--seed", type=int, default=0, help="seed of the sampler (default 0)")
    run.add_argument("--ridge", type=float, help="pull towards W0 (default: the example's own)")
    run.add_argument("--projection", choices=("auto", *OF_RUNS), default="auto", help="of the gradients")
    run.add_argument("--dim", type=int, default=512, help="dimension, or most adapted directions (default 512)")
    run.add_argument("--outputs", default="auto", help=linearised)
    run.add_argument(
        "--measure", default="loss",
        help="what outcomes are: loss (default); for classes accuracy or margin too, for quantities R², absolute "
        "error or squared error, for several labels accuracy, F1 or AUC",
    )  # fmt: skip
    run.add_argument("--retrain", action="store_true", help=retrained)
    run.add_argument("--out", type=Path, required=True, help="file to write, .parquet or .csv")

    features = commands.add_parser("features", help="gradient features of a network of your own code, in one file")
    features.add_argument("code", help="FILE.py:FUNCTION, which returns (model, suite); the file is run")
    features.add_argument("out", type=Path, help="file to write, .npz: bring it on Data & model")
    features.add_argument("--projection", choices=("auto", *PROJECTIONS), default="auto", help="of the gradients")
    features.add_argument("--dim", type=int, default=512, help="dimension of a random projection (default 512)")
    features.add_argument("--outputs", default="auto", help=linearised)
    weighting, own = get_args(Weighting), "(default: as the suite says)"
    features.add_argument(
        "--task-weighting", choices=weighting, help=f"each task counts the same in training, or each sample {own}"
    )
    features.add_argument(
        "--target-weighting", choices=weighting,
        help=f"each target counts the same in the mean over targets, or each test sample {own}",
    )  # fmt: skip

    evaluate = commands.add_parser("evaluate", help="score estimates and surrogates against held-out truth")
    evaluate.add_argument("--example", required=True, choices=EXAMPLES)
    evaluate.add_argument("--recompute", action="store_true", help="compute outcomes anew, from the shipped W0")
    evaluate.add_argument("--retrain", action="store_true", help=retrained)

    example = commands.add_parser("example", help="list an example's finished results, or compute them anew")
    example.add_argument("name", choices=(*EXAMPLES, *UNFINISHED, *PROMPT_EXAMPLES))
    example.add_argument("--rebuild", action="store_true", help="compute and write the shipped files, from their W0")
    example.add_argument("--retrain", action="store_true", help=retrained)

    drop = commands.add_parser("drop", help="which tasks are worth dropping, and what that is expected to change")
    drop.add_argument("table", help="a table of outcomes, or the name of an example")
    drop.add_argument("--target", help="one of its targets (default: their mean)")
    drop.add_argument("--price", type=float, default=0.0, help="what a unit of cost is worth (default 0)")
    drop.add_argument("--costs", type=Path, help="CSV of what keeping each task costs: task, cost (default 1 each)")

    confirm = commands.add_parser("confirm", help="retrain an example's network with and without some tasks")
    confirm.add_argument("--example", required=True, choices=[name for name in EXAMPLES if EXAMPLES[name].has_model])
    confirm.add_argument("--without", required=True, nargs="+", metavar="TASK", help="names of the tasks left out")
    confirm.add_argument("--seeds", type=int, default=5, help="how many (default 5)")
    confirm.add_argument(
        "--how", nargs="+", choices=WAYS, default=WAYS, help="fine-tuned from W0, trained anew, or both"
    )
    confirm.add_argument("--ridge", type=float, help="pull towards W0 (default: the example's own)")

    compare = commands.add_parser("compare", help="attribution methods side by side, against an example's truth")
    compare.add_argument("--example", required=True, choices=(*EXAMPLES, *PROMPT_EXAMPLES))
    compare.add_argument(
        "--methods", nargs="+", default=["all"], metavar="METHOD",
        help="all, or names such as linear, influence_cg, trak; an unknown one lists them (default all)",
    )  # fmt: skip
    compare.add_argument(
        "--limit",
        type=float,
        help="seconds that a method of all may be expected to take (default 300; 1,800 for prompts)",
    )
    add_export_parsers(commands)
    return parser


def _app(options: argparse.Namespace) -> None:
    from kernelsm.app.serve import serve  # imported here: the other commands do not need Streamlit

    serve(options.address, options.port)


def _inspect(options: argparse.Namespace) -> None:
    from kernelsm.pipelines.inspect_samples import holds_model, inspect_samples

    if holds_model(options.path):
        from kernelsm.pipelines.inspect_model import inspect_model  # needs torch

        found = inspect_model(options.path)
    else:
        found = inspect_samples(options.path)
    for note in found["notes"]:
        print(note)
    for column, why in found.get("left_out", {}).items():
        print(f"left out: {column}: {why}")
    for use, why in found.get("reasons", {}).items():
        print(f"{use}: {why}")
    print(json.dumps(found, ensure_ascii=False))


def _run(options: argparse.Namespace) -> None:
    if options.out.suffix not in (".parquet", ".csv"):
        raise InputError("--out", repr(options.out.name), "a name ending in .parquet or .csv", "Rename it.")
    options.out.parent.mkdir(parents=True, exist_ok=True)  # fails now rather than after the work
    store = Store()
    report = TerminalReport()
    source = options.example or _own_data(options, report, store)
    settings = RunSettings(
        source, options.estimator or estimators(source)[0], subsets=options.subsets, p=options.p,
        size=options.size, seed=options.seed, ridge=options.ridge, projection=options.projection, dim=options.dim,
        outputs=options.outputs, design=options.design.replace("-", "_"), measure=options.measure,
    )  # fmt: skip
    if settings.rows != options.subsets:
        print(f"{settings.rows} subsets instead of {options.subsets}: design {settings.design.replace('_', '-')}")
    outcomes = compute(settings, report, store, retrain=options.retrain)
    outcomes.save(options.out)
    print(f"{outcomes!r} -> {options.out}")
    print(
        f"{report.pace.computed} chunks computed, {report.pace.reused} from the cache, {report.pace.elapsed():.1f} s"
    )


def _own_data(options: argparse.Namespace, report: TerminalReport, store: Store) -> str:
    """Prepare the user's own samples and return the key of their project."""
    from kernelsm.pipelines.own_data import prepare_own  # imported here: examples need none of it

    if options.mapping is None:
        fix = "Download it on Data & model, where you say what the columns mean."
        raise InputError("--mapping", "nothing", "the mapping file of the samples", fix)
    return prepare_own(
        options.samples, options.mapping, report, store, weights=options.weights, description=options.description
    )


def _features(options: argparse.Namespace) -> None:
    # imported here: the other commands may not need torch
    from kernelsm.gradients.features import gradient_features
    from kernelsm.gradients.features_file import save_features
    from kernelsm.gradients.user_code import model_and_suite
    from kernelsm.objectives.registry import find

    if options.out.suffix != ".npz":
        raise InputError("out", repr(options.out.name), "a name ending in .npz", "Rename it.")
    options.out.parent.mkdir(parents=True, exist_ok=True)  # fails now rather than after the work
    model, suite = model_and_suite(options.code)
    chosen = {key: getattr(options, key) for key in WEIGHTING_FIELDS if getattr(options, key)}
    suite = replace(suite, **chosen)
    store, report = Store(), TerminalReport()
    train = gradient_features(
        model, suite.inputs, suite.labels, options.projection, options.dim, store=store, report=report,
        outputs=options.outputs, objective=find(suite),
    )  # fmt: skip
    test = gradient_features(
        model, suite.test_inputs, suite.test_labels, options.projection, options.dim, store=store, report=report,
        outputs=train.outputs, objective=find(suite),
    )  # fmt: skip
    save_features(options.out, suite, train, test)
    size = options.out.stat().st_size / 2**20
    print(
        f"{suite.K} tasks, {len(suite.inputs)} + {len(suite.test_inputs)} samples -> {options.out} ({size:.1f} MiB)"
    )
    tasks = suite.tasks
    print(
        f"tasks are weighed {tasks.weighting.replace('_', ' ')} and have {min(tasks.sizes):,} to "
        f"{max(tasks.sizes):,} samples"
    )
    if tasks.tiny:
        few = ", ".join(f"{tasks.names[at]} ({tasks.sizes[at]})" for at in tasks.tiny)
        print(f"fewer than {FEW_SAMPLES} samples: {few}")


def _evaluate(options: argparse.Namespace) -> None:
    # imported here: the other commands do not need scikit-learn
    from kernelsm.evaluation.truth import score_estimates, score_surrogates
    from kernelsm.pipelines.rebuild import rebuild_example

    if options.retrain and not options.recompute:
        raise InputError("--retrain", "no --recompute", "both", "W0 is trained anew only to compute outcomes anew.")

    example = get_example(options.example)
    if options.recompute:
        with tempfile.TemporaryDirectory() as folder:
            rebuild_example(example.name, TerminalReport(), Store(), Path(folder), retrain=options.retrain)
            tables = [
                Outcomes.load(path) if (path := Path(folder) / f"{kind}.parquet").exists() else None
                for kind in ("outcomes", "truth", "estimates")
            ]
        outcomes, truth, estimates = tables
        assert outcomes is not None
        assert truth is not None
    else:
        outcomes, truth = load_example(example.name), load_truth(example.name)
        estimates = load_estimates_of_truth(example.name)
    source = "recomputed" if options.recompute else "shipped"
    scores = {"example": example.name, "source": source, "subsets": outcomes.m, "truth_subsets": truth.m}
    if estimates is not None:
        scores |= score_estimates(truth, estimates)
        print(f"GradEx against {example.truth_is}: Spearman {scores['spearman']:.4f} (overall loss), "
              f"LDS {scores['lds']:.4f}, relative error {scores['relative_error']:.4f}")  # fmt: skip
    scores |= score_surrogates(outcomes, truth)
    print(f"Surrogates fitted to {outcomes.m} subsets, on {scores['unseen_subsets']} others: "
          f"LDS default {scores['lds_default']:.4f}, "
          f"tuned RBF {scores['lds_rbf']:.4f}, tuned linear {scores['lds_linear']:.4f}")  # fmt: skip
    print(json.dumps(scores))


def _example(options: argparse.Namespace) -> None:
    if options.retrain and not options.rebuild:
        raise InputError("--retrain", "no --rebuild", "both", "W0 is trained anew only to compute all results anew.")
    if options.rebuild:
        # imported here: listing needs no torch
        from kernelsm.pipelines.leave_one_out import rebuild_leave_one_out
        from kernelsm.pipelines.rebuild import rebuild_checks, rebuild_example, rebuild_prompts

        store, report = Store(), TerminalReport()
        if options.name in PROMPT_EXAMPLES:
            written = rebuild_prompts(options.name, report, store)
        elif options.name == MT10.name:
            from kernelsm.pipelines.robots import rebuild_mt10  # imported here: it needs a simulator

            written = rebuild_mt10(report, store, retrain=options.retrain)
        else:
            written = rebuild_example(options.name, report, store, retrain=options.retrain)
            if get_example(options.name).has_model:
                written.append(rebuild_checks(options.name, report, store, retrain=options.retrain))
            if get_example(options.name).networks:
                written.append(rebuild_leave_one_out(options.name, report, store, retrain=options.retrain))
        for path in written:
            print(f"wrote {path} ({path.stat().st_size / 1024:.0f} KiB)")
    folder = results_folder(options.name)
    for path in sorted(folder.glob("*.parquet")):
        print(f"{path.name}: {Outcomes.load(path)!r}")
    for name, words in (("weights.safetensors", "W0"), ("checks.json", "checks of the first-order estimate")):
        if (folder / name).exists():
            print(f"{name}: {words}")


def _drop(options: argparse.Namespace) -> None:
    # imported here: the other commands do not need scikit-learn
    from kernelsm.selection.costs_file import read_costs
    from kernelsm.selection.dropping import best_drop

    outcomes = load_example(options.table) if options.table in EXAMPLES else Outcomes.load(Path(options.table))
    if options.target:
        if options.target not in outcomes.target_names:
            expected = ", ".join(map(repr, outcomes.target_names))[:200]
            raise InputError("--target", repr(options.target), expected, "Choose one of these.")
        outcomes = outcomes.target(options.target)
    costs = read_costs(options.costs, outcomes.task_names) if options.costs else None
    if options.costs and not options.price:
        raise InputError("--costs", "no --price", "what a unit of cost is worth", "Give it in the outcome's unit.")
    drop = best_drop(outcomes, costs=costs, price=options.price)
    print(drop.sentence(str(outcomes.meta.get("unit", ""))))
    print(
        json.dumps(
            {
                "drop": [drop.task_names[k] for k in drop.tasks] if drop.is_worth_it else [],
                "nearest": [drop.task_names[k] for k in drop.tasks], "is_worth_it": drop.is_worth_it,
                "change": drop.change, "margin": drop.margin, "predicted": drop.predicted,
                "predicted_margin": drop.predicted_margin, "gain": drop.gain, "saved": drop.saved,
            }
        )
    )  # fmt: skip


def _confirm(options: argparse.Namespace) -> None:
    # imported here: the other commands may not need torch
    from kernelsm.pipelines.confirm import ConfirmSettings, confirm
    from kernelsm.workspace.confirmations import keep_confirmation

    names = load_example(options.example).task_names
    if unknown := [name for name in options.without if name not in names]:
        expected = ", ".join(map(repr, names))
        raise InputError("--without", repr(unknown[0]), expected, "Write the names of tasks as they are there.")
    left_out = tuple(names.index(name) for name in options.without)
    settings = ConfirmSettings(options.example, left_out, options.seeds, tuple(options.how), options.ridge)
    store = Store()
    found = confirm(settings, TerminalReport(), store)
    key, loss = keep_confirmation(found, store.root.parent), found.measures[0]
    changes = {}
    for way in found.values:
        change = found.change(way, loss.name)
        side = "lower" if change.mean < 0 else "higher"
        print(
            f"{way}: without them the {loss.name} is {side} by {amount(abs(change.mean), change.margin)} {loss.unit}"
        )
        changes[way] = {"change": change.mean, "margin": change.margin, "by_seed": change.by_seed}
    print(json.dumps({"confirmed": key, "left_out": options.without, "changes": changes}))


def _compare(options: argparse.Namespace) -> None:
    # imported here: the other commands do not need scikit-learn
    from kernelsm.evaluation.method_scores import MethodScore
    from kernelsm.pipelines.compare import SECONDS_A_METHOD, CompareSettings, compare
    from kernelsm.pipelines.method_sources import SECONDS_A_METHOD_ON_PROMPTS, own_seconds

    def announce(costs: dict[str, MethodCost]) -> None:
        together = sum(own_seconds({name: cost.seconds for name, cost in costs.items()}).values())
        print(f"{len(costs)} methods, about {together:,.0f} s in all:")
        for name, cost in costs.items():
            print(f"  {name}: {cost.sentence()}", flush=True)

    def row(one: MethodScore) -> str:
        shown = ["-" if value is None else f"{value:.3f}" for value in (one.leave_one_out, one.top5)]
        gain = one.lds_gain
        beside = f"{gain.gain:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})" if gain else "-"
        return f"{one.name:<20} {one.lds:6.3f}  {beside:<26} {shown[0]:>9}  {shown[1]:>5}  {one.seconds:8.2f} s"

    usual = SECONDS_A_METHOD_ON_PROMPTS if options.example in PROMPT_EXAMPLES else SECONDS_A_METHOD
    limit = usual if options.limit is None else options.limit
    settings = CompareSettings(options.example, tuple(options.methods), limit=limit)
    found = compare(settings, TerminalReport(), Store(), announce=announce)
    print(f"Scored on {found.truth_subsets} {found.truth_is}:")
    print(f"{'method':<20} {'LDS':>6}  {'beside default (90 %)':<26} {'leave-1-out':>9}  {'top 5':>5}  {'time':>8}")
    for one in found.scores:
        print(row(one))
    for name, why in found.refused.items():
        print(f"{name} cannot answer: {why}")
    for name, why in found.left_out.items():
        print(f"{name} is left out: {why}")
    print(found.verdict)
    for one in found.scores:
        if one.agreement is not None and one.name in ("default", "linear"):
            print(found.agreement_sentence(one))
    print(json.dumps(found.to_json()))


def _take_away(options: argparse.Namespace) -> None:
    # imported here: the other commands do not need scikit-learn
    from kernelsm.export.commands import COMMANDS

    COMMANDS[options.command](options)


_COMMANDS = {
    "app": _app, "inspect": _inspect, "run": _run, "features": _features, "evaluate": _evaluate, "example": _example,
    "drop": _drop, "confirm": _confirm, "compare": _compare, "fit": _take_away, "report": _take_away,
    "notebook": _take_away, "tables": _take_away, "views": _take_away,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
