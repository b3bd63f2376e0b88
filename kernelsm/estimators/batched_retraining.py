"""Fine-tuning one small network on many subsets at once: stacked parameters, one forward pass for all."""

from __future__ import annotations

import copy

import torch
from torch import nn

from kernelsm.estimators.batched_lbfgs import minimise
from kernelsm.objectives.objective import Objective


class StackedModel:
    """A network whose m sets of parameters are the rows of one matrix.

    Parameters
    ----------
    model : torch.nn.Module
        It is copied, put in eval mode and made double precision.
    input_dimensions : int
        Axes of a batch of inputs (n, ...).
    """

    def __init__(self, model: nn.Module, input_dimensions: int) -> None:
        self._input_dimensions = input_dimensions
        self.model = copy.deepcopy(model).double().eval()
        self.shapes = {name: p.shape for name, p in self.model.named_parameters()}
        self.buffers = dict(self.model.named_buffers())

    @property
    def weights(self) -> torch.Tensor:
        """The model's own parameters as one row, shape (P,)."""
        return torch.cat([p.detach().flatten() for p in self.model.parameters()])

    def outputs(self, weights: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Outputs (m, n, C) of inputs (m, n, ...), or (n, ...) for all, under each row of weights (m, P)."""
        pieces = weights.split([shape.numel() for shape in self.shapes.values()], dim=1)
        stacked = {
            name: piece.reshape(-1, *shape) for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)
        }

        def outputs_of_one(parameters: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = torch.func.functional_call(self.model, (parameters, self.buffers), (x,))
            return found

        inputs_differ = inputs.ndim > self._input_dimensions
        return torch.func.vmap(outputs_of_one, in_dims=(0, 0 if inputs_differ else None))(stacked, inputs)


def tune_together(
    stacked: StackedModel,
    objective: Objective,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    sample_weights: torch.Tensor,
    *,
    start: torch.Tensor,
    centre: torch.Tensor,
    ridge: float,
    max_steps: int,
) -> torch.Tensor:
    """Minimise Σ_i w_i ℓ(f_W(x_i), y_i) + ridge/2 ‖W - centre‖² for each row of `sample_weights` (m, n).

    ℓ is the loss of `objective`.

    Returns
    -------
    Tensor, shape (m, P)
        The weights found, from `start` (P,), to a largest gradient entry of 1e-6.
    """
    # the included samples of each subset, padded with samples of weight 0 to the size of the largest subset
    widest = int((sample_weights > 0).sum(dim=1).max())
    included = (sample_weights > 0).to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :widest]
    own_weights, own_inputs, own_labels = sample_weights.gather(1, included), inputs[included], labels[included]

    def pulled_loss(weights: torch.Tensor, which: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        variables = weights.detach().requires_grad_()
        value = ridge / 2 * (variables - centre).square().sum(dim=1)
        if widest:
            losses = objective.loss(stacked.outputs(variables, own_inputs[which]), own_labels[which])
            value = value + (own_weights[which] * losses).sum(dim=1)
        (gradient,) = torch.autograd.grad(value.sum(), variables)
        return value.detach(), gradient

    # without samples the minimum is the centre itself; a search would miss it by an error that depends on rounding
    first_guess = torch.where((sample_weights > 0).any(dim=1, keepdim=True), start, centre)
    return minimise(pulled_loss, first_guess, max_steps=max_steps)


def bytes_per_subset(model: nn.Module, inputs: torch.Tensor) -> int:
    """Rough memory of one subset in the batch: activations of all samples, and the parameters with their history."""
    numbers = 0

    def count(_module: nn.Module, _given: object, out: object) -> None:
        nonlocal numbers
        numbers += out.numel() if isinstance(out, torch.Tensor) else 0

    leaves = [module for module in model.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(count) for module in leaves]
    try:
        with torch.no_grad():
            model(inputs[:1])
    finally:
        for hook in hooks:
            hook.remove()
    parameters = sum(p.numel() for p in model.parameters())
    return 8 * (4 * len(inputs) * numbers + 60 * parameters)
