"""Attribution methods against the libraries that they stand for, on the digits, timed turn by turn in one run.

Each side starts from the network, the samples and their labels, and ends with what its method can give: here the
effects of K tasks on q targets, there a score of every training sample for every test sample, or solutions for summed
target gradients where the library can be given them, which is the same saving. Processor time on one thread; what is
called EK-FAC here is curvlinops itself, so it is not among them.

- influence_cg: curvlinops' CGInverseLinearOperator on its GGNLinearOperator, with the same q right-hand sides and
  tolerance; dattri's IFAttributorCG on the test samples of one target alone, as it sums no gradients
- tracin_checkpoints: captum's TracInCP, which is given the checkpoints
- trak: traker's calls, on the same margins and as many dimensions

.venv/bin/pip install -r requirements-bench.txt
.venv/bin/python benchmarks/attributors.py
"""

from __future__ import annotations

import contextlib
import copy
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import publish
from torch.utils.data import DataLoader, TensorDataset

from kernelsm import gradient_features
from kernelsm.attributors.descent import Descent
from kernelsm.attributors.feature_losses import FeatureLosses
from kernelsm.attributors.gradient_products import TracIn
from kernelsm.attributors.influence import ConjugateGradientInfluence
from kernelsm.attributors.network_losses import NetworkLosses
from kernelsm.attributors.trak import Trak
from kernelsm.examples.catalog import RECIPES
from kernelsm.models.registry import build_model
from kernelsm.models.weights import load_weights, read_weights
from kernelsm.runtime.threads import limit_blas_threads

EXAMPLE, TURNS, DIM, STEPS = "digits", 3, 512, 40
TOLERANCE = 1e-3


def main() -> None:
    """Time all pairs and write the ratios."""
    limit_blas_threads(1)
    torch.set_num_threads(1)
    recipe = RECIPES[EXAMPLE]
    suite = recipe.suite()
    assert recipe.trained_weights is not None
    model = build_model(recipe.architecture, **recipe.config)
    load_weights(model, read_weights(recipe.trained_weights, "weights.safetensors"), "W0")
    model = model.eval()
    network = NetworkLosses(suite, model, ridge=recipe.ridge)
    descent = Descent(network, steps=STEPS, checkpoints=5)
    descent.states()  # both sides are given the checkpoints

    pairs: dict[str, tuple[str, Callable[[], Any], Callable[[], Any]]] = {
        "influence_cg": (
            "curvlinops",
            lambda: ConjugateGradientInfluence(network, tolerance=TOLERANCE).slopes(),
            lambda: _curvlinops(network, model),
        ),
        "influence_cg, one target": (
            "dattri",
            lambda: ConjugateGradientInfluence(network, tolerance=TOLERANCE).slopes(),
            lambda: _dattri(network, model),
        ),
        "tracin_checkpoints": (
            "captum", lambda: TracIn(network, descent=descent).slopes(), lambda: _captum(network, model, descent)
        ),
        "trak": ("traker", lambda: _our_trak(suite, model), lambda: _traker(suite, model)),
    }  # fmt: skip
    table = {}
    for name, (library, ours, theirs) in pairs.items():
        times = _turns(ours, theirs)
        table[name] = {
            "library": library, "seconds": round(float(np.median(times[0])), 3),
            "library_seconds": round(float(np.median(times[1])), 3),
            "speedup": round(float(np.median(times[1] / times[0])), 2),
        }  # fmt: skip
        print(name, table[name], flush=True)
    publish(
        "attributors",
        {
            "example": EXAMPLE, "tasks": suite.K, "targets": len(suite.target_names), "samples": len(suite.inputs),
            "test_samples": len(suite.test_inputs), "parameters": recipe.parameters, "turns": TURNS, "threads": 1,
            "trak_dimensions": DIM, "checkpoints": descent.count, "tolerance": TOLERANCE, "methods": table,
        },
    )  # fmt: skip


def _turns(ours: Callable[[], Any], theirs: Callable[[], Any]) -> np.ndarray:
    """Processor seconds of both sides, shape (2, turns), turn by turn; one turn before does not count."""
    found: list[list[float]] = [[], []]
    for turn in range(TURNS + 1):
        for side, times in zip((ours, theirs), found, strict=True):
            began = time.process_time()
            with contextlib.redirect_stderr(io.StringIO()):
                side()
            if turn:
                times.append(time.process_time() - began)
    return np.array(found)


def _data(network: NetworkLosses) -> tuple[TensorDataset, TensorDataset]:
    return TensorDataset(network.inputs, network.labels), TensorDataset(network.test_inputs, network.test_labels)


def _curvlinops(network: NetworkLosses, model: torch.nn.Module) -> None:
    from curvlinops import CGInverseLinearOperator, GGNLinearOperator
    from curvlinops.examples import IdentityLinearOperator

    double = copy.deepcopy(model).double()
    parameters = list(double.parameters())
    data = [(network.inputs, network.labels)]
    curvature: Any = GGNLinearOperator(
        double, torch.nn.CrossEntropyLoss(), parameters, data, check_deterministic=False
    )
    shapes = [p.shape for p in parameters]
    identity: Any = IdentityLinearOperator(shapes, torch.device("cpu"), torch.double)
    lifted = curvature + identity * network.ridge
    inverse: Any = CGInverseLinearOperator(lifted, tolerance=TOLERANCE, max_iter=1000, eps=0.0)
    targets = network.target_gradients(network.start)
    _ = network.task_gradients(network.start) @ (inverse @ targets.T.contiguous())


def _dattri(network: NetworkLosses, model: torch.nn.Module) -> None:
    from dattri.algorithm import IFAttributorCG
    from dattri.task import AttributionTask

    double = copy.deepcopy(model).double()

    def loss(params: Any, batch: Any) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(torch.func.functional_call(double, params, (batch[0],)), batch[1])

    task = AttributionTask(loss_func=loss, model=double, checkpoints=double.state_dict(), target_func=loss)
    # as many steps as ours takes for the same tolerance, near enough
    attributor = IFAttributorCG(task=task, max_iter=60, tol=TOLERANCE, regularization=network.ridge)
    train, test = _data(network)
    first = np.flatnonzero(network.suite.target_of == 0)
    attributor.cache(DataLoader(train, batch_size=len(train)))
    part = TensorDataset(*(tensor[first] for tensor in test.tensors))
    attributor.attribute(DataLoader(train, batch_size=len(train)), DataLoader(part, batch_size=len(part)))


def _captum(network: NetworkLosses, model: torch.nn.Module, descent: Descent) -> None:
    from captum.influence import TracInCP

    double = copy.deepcopy(model).double()
    places = descent.checkpoints()

    def load(module: torch.nn.Module, number: str) -> float:
        weights, rate = places[int(Path(number).stem)]
        pieces = weights.split([p.numel() for p in module.parameters()])
        with torch.no_grad():
            for parameter, piece in zip(module.parameters(), pieces, strict=True):
                parameter.copy_(piece.reshape(parameter.shape))
        return rate

    train, _ = _data(network)
    with tempfile.TemporaryDirectory() as folder:  # it wants paths of files that are there
        paths = [Path(folder) / f"{number}.npy" for number in range(len(places))]
        for path in paths:
            path.touch()
        oracle = TracInCP(
            double, train, [str(path) for path in paths], checkpoints_load_func=load,
            loss_fn=torch.nn.CrossEntropyLoss(reduction="none"), batch_size=256, sample_wise_grads_per_batch=False,
        )  # fmt: skip
        oracle.influence((network.test_inputs, network.test_labels))


def _our_trak(suite: Any, model: torch.nn.Module) -> None:
    train, test = (
        gradient_features(model, x, y, "kronecker", DIM, outputs="margin")
        for x, y in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    )
    Trak(FeatureLosses(suite, train, test), dim=DIM).slopes()


def _traker(suite: Any, model: torch.nn.Module) -> None:
    from trak import TRAKer

    with tempfile.TemporaryDirectory() as folder:
        traker = TRAKer(
            model=model, task="image_classification", train_set_size=len(suite.inputs), proj_dim=DIM,
            save_dir=folder, device="cpu", use_half_precision=False, logging_level=40,
        )  # fmt: skip
        state = model.state_dict()
        traker.load_checkpoint(state, model_id=0)
        train = [torch.from_numpy(suite.inputs), torch.from_numpy(suite.labels)]
        test = [torch.from_numpy(suite.test_inputs), torch.from_numpy(suite.test_labels)]
        traker.featurize(batch=train, num_samples=len(train[1]))
        traker.finalize_features()
        traker.start_scoring_checkpoint("targets", state, model_id=0, num_targets=len(test[1]))
        traker.score(batch=test, num_samples=len(test[1]))
        traker.finalize_scores("targets")


if __name__ == "__main__":
    main()
