"""Influence functions by EK-FAC: one block of curvature for each linear layer, through the library curvlinops."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import nn

from kernelsm.attributors.attributor import Array, MethodCost
from kernelsm.attributors.influence import Influence
from kernelsm.attributors.network_losses import NetworkLosses
from kernelsm.gradients.per_sample import trainable
from kernelsm.objectives.classification import Classification
from kernelsm.runtime.checks import check_whole
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.extras import needed_by
from kernelsm.runtime.progress import Report
from kernelsm.runtime.store import Store

SUPPORTED = (nn.Linear, nn.Conv2d)


class KroneckerInfluence(Influence):
    """Influence functions whose curvature is eigenvalue-corrected and Kronecker-factored, layer by layer (EK-FAC).

    The expectation over labels is exact (Fisher type 2, the Gauss-Newton matrix), weight and bias of a layer are one
    block. curvlinops counts each training sample the same in the curvature; the gradients weigh tasks as the suite
    says.

    Parameters
    ----------
    losses : NetworkLosses
        Of a network whose trainable weights are all in linear layers and two-dimensional convolutions.
    damping, centred
        As of `Influence`.
    batch : int
        Samples at once.

    Raises
    ------
    InputError
        A trainable weight in another layer, features without a network, or another objective than classification.

    References
    ----------
    George et al. (2018), Fast approximate natural gradient descent in a Kronecker-factored eigenbasis; Grosse et al.
    (2023), Studying large language model generalization with influence functions.
    """

    name, title = "influence_ekfac", "influence functions, EK-FAC"

    def __init__(
        self, losses: NetworkLosses, *, damping: float | None = None, centred: bool = True, batch: int = 512
    ) -> None:
        super().__init__(losses, damping=damping, centred=centred)
        self.network, self.batch = losses, check_whole("batch", batch)
        other = "Take conjugate gradients (influence_cg), which need no rule for layers."
        if not isinstance(losses, NetworkLosses):
            raise InputError(self.name, "gradient features without a network", "a network", other)
        if not isinstance(losses.objective, Classification):
            raise InputError(self.name, repr(losses.objective.name), "classification", other)
        for name, module in losses.model.named_modules():
            own = [p for p in module.parameters(recurse=False) if p.requires_grad]
            if own and not isinstance(module, SUPPORTED):
                found = f"trainable weights in {name or 'the network itself'} ({type(module).__name__})"
                raise InputError(self.name, found, "linear layers and Conv2d alone", other)

    def cost(self) -> MethodCost:
        """A pass for the factors of the layers' inputs, and one for each class and factor; twice."""
        losses = self.network
        passes = 2 + 2 * losses.objective.outputs
        sides = sum(
            p.numel() ** 2 / max(p.shape[0], 1) ** 2 + p.shape[0] ** 2 for p in trainable(losses.model).values()
        )
        memory = int(3 * losses.start.element_size() * (sides + losses.d))
        return MethodCost(passes, passes * losses.pass_seconds, memory)

    def _slopes(self, store: Store | None, report: Report) -> Array:
        with needed_by(self.name):
            from curvlinops import EKFACLinearOperator, KFACInverseLinearOperator

        losses, w = self.network, self.network.at
        model = copy.deepcopy(losses.model)
        weights = trainable(model)
        with torch.no_grad():
            for parameter, piece in zip(
                weights.values(), w.split([p.numel() for p in weights.values()]), strict=True
            ):
                parameter.copy_(piece.reshape(parameter.shape))
        report(0, 2, "Kronecker factors", reused=None)
        batches = list(zip(losses.inputs.split(self.batch), losses.labels.split(self.batch), strict=True))
        curvature: Any = EKFACLinearOperator(
            model, nn.CrossEntropyLoss(), list(weights.values()), batches, fisher_type="type-2",
            separate_weight_and_bias=False, check_deterministic=False,
        )  # fmt: skip
        inverse: Any = KFACInverseLinearOperator(curvature, damping=self.damping, use_exact_damping=True)
        gradients = losses.target_gradients(w)
        solutions = inverse @ gradients.T.contiguous()
        report(1, 2, "Kronecker factors", reused=None)
        found = self._from_solutions(solutions.T)
        if not np.isfinite(found).all():
            raise InputError(self.name, "effects that are not finite", "finite ones", "Raise the damping.")
        return found
