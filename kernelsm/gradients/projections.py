"""The linear maps R^d -> R^k for gradients. They are seeded, and none stores a d x k matrix.

`sketches` holds what a map does to the gradients of a model's parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from kernelsm.gradients.choices import projection_name
from kernelsm.gradients.contributions import Full
from kernelsm.gradients.sketches import (
    DenseSketch,
    ExactSketch,
    KroneckerSketch,
    Sketch,
    SparseSketch,
    gaussian_rows,
    rademacher_rows,
)
from kernelsm.runtime.checks import check_whole
from kernelsm.runtime.errors import InputError


class Projection(ABC):
    """A linear map of gradients that keeps inner products in expectation; equal fields give equal maps."""

    from_factors: ClassVar[bool] = False
    """Whether the factors of a layer's gradient suffice, so that the gradient itself is never computed."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What the map is, for titles and metadata."""

    @abstractmethod
    def bind(self, shapes: Mapping[str, torch.Size]) -> Sketch:
        """Return the map for the parameters of one model, given their shapes by name."""

    def apply(self, vectors: torch.Tensor) -> torch.Tensor:
        """Map plain vectors, (..., d) -> (..., k), as the gradients of one parameter of d numbers."""
        sketch = self.bind({"": vectors.shape[-1:]})
        flat = vectors.reshape(1, -1, vectors.shape[-1])
        into = flat.new_zeros((1, flat.shape[1], sketch.dim))
        sketch.add(into, "", Full(flat))
        return into.reshape(*vectors.shape[:-1], sketch.dim)


@dataclass(frozen=True)
class Exact(Projection):
    """All d coordinates, unchanged: GradEx then solves the linearised problem itself."""

    @property
    def name(self) -> str:
        """What the map is."""
        return "exact basis"

    def bind(self, shapes: Mapping[str, torch.Size]) -> Sketch:
        """Return the identity on the parameters, one after the other."""
        return ExactSketch(shapes)


@dataclass(frozen=True)
class _Random(Projection):
    """What random maps have in common.

    Parameters
    ----------
    dim : int
        k, the dimension after projection.
    seed : int
        Equal seeds give the equal map, whatever the batch.

    Raises
    ------
    InputError
        dim < 1.
    """

    dim: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        # whole numbers of NumPy print differently, and would give another seed
        object.__setattr__(self, "dim", check_whole("dim", self.dim, fix="512 is the default."))
        object.__setattr__(self, "seed", check_whole("seed", self.seed, None))


@dataclass(frozen=True)
class Gaussian(_Random):
    """Independent N(0, 1/dim) entries (Johnson and Lindenstrauss), drawn block by block each time they are needed.

    Var <Px, Py> = (|x|² |y|² + <x, y>²) / dim. Costs d·dim multiplications per gradient.
    """

    @property
    def name(self) -> str:
        """What the map is."""
        return f"Gaussian, {self.dim} dimensions"

    def bind(self, shapes: Mapping[str, torch.Size]) -> Sketch:
        """Return the map for these parameters."""
        return DenseSketch(shapes, self.dim, self.seed, gaussian_rows)


@dataclass(frozen=True)
class Rademacher(_Random):
    """Independent entries ±1/√dim (Achlioptas 2003): a little less variance than Gaussian, and cheap to draw."""

    @property
    def name(self) -> str:
        """What the map is."""
        return f"Rademacher, {self.dim} dimensions"

    def bind(self, shapes: Mapping[str, torch.Size]) -> Sketch:
        """Return the map for these parameters."""
        return DenseSketch(shapes, self.dim, self.seed, rademacher_rows)


@dataclass(frozen=True)
class Kronecker(_Random):
    """Two-sided Gaussian on each weight matrix G: coordinates u_iᵀ G v_j, summed over all layers.

    Per-sample gradients of a layer are Σ_t g_t a_tᵀ, so only the vectors g_t and a_t are projected and no gradient is
    ever written down. The dim coordinates of a layer are dim/block² independent grids of block x block pairs: larger
    blocks cost less and vary more. For one gradient of rank one, Var |Px|² = ((1 + 2/block)² - 1) block² |x|⁴ / dim,
    against 2 |x|⁴ / dim for dense Gaussian; sums over layers and positions come closer to it. Vectors (biases, norms)
    go through a count sketch. All layers add up in the same coordinates, so none gets too few.

    Parameters
    ----------
    block : int, optional
        Side of a grid, block² a divisor of dim; 2 if not given, or 1 where dim is no multiple of 4.
    """

    from_factors: ClassVar[bool] = True
    block: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block == 0:
            object.__setattr__(self, "block", next(side for side in (2, 1) if self.dim % side**2 == 0))
        if self.block < 0 or self.dim % self.block**2:
            fix = "Choose a block whose square divides dim."
            raise InputError("block", f"{self.block}", f"a side whose square divides {self.dim}", fix)

    @property
    def name(self) -> str:
        """What the map is."""
        return f"Kronecker, {self.dim} dimensions"

    def bind(self, shapes: Mapping[str, torch.Size]) -> Sketch:
        """Return the map for these parameters."""
        return KroneckerSketch(shapes, self.dim, self.seed, self.block)


@dataclass(frozen=True)
class Sparse(_Random):
    """Sparse Johnson-Lindenstrauss transform (Kane and Nelson 2014).

    Each coordinate goes to `nonzeros` of the dim coordinates with a random sign; with one it is the count sketch.

    Parameters
    ----------
    nonzeros : int
        Targets of each coordinate, at most dim.
    """

    nonzeros: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        nonzeros = check_whole("nonzeros", self.nonzeros, 1, self.dim, fix="One is the count sketch.")
        object.__setattr__(self, "nonzeros", nonzeros)

    @property
    def name(self) -> str:
        """What the map is."""
        return f"sparse, {self.dim} dimensions"

    def bind(self, shapes: Mapping[str, torch.Size]) -> Sketch:
        """Return the map for these parameters."""
        return SparseSketch(shapes, self.dim, self.seed, self.nonzeros)


RANDOM: dict[str, type[_Random]] = {
    "kronecker": Kronecker,
    "gaussian": Gaussian,
    "rademacher": Rademacher,
    "sparse": Sparse,
}


def choose_projection(projection: Projection | str, parameters: int, dim: int) -> Projection:
    """Return the projection that a name stands for, with `dim` dimensions where it is a random one.

    Raises
    ------
    InputError
        The name is not known.
    """
    if not isinstance(projection, str):
        return projection
    name = projection_name(projection, parameters)
    return Exact() if name == "exact" else RANDOM[name](dim)
