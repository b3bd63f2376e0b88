"""Gradient features of a few samples in all d coordinates, written in the few that fine-tuning can move along.

Whatever the loss, the solution of GradEx is a sum of gradients of the training samples. Coordinates along an
orthonormal basis of their span, no more than there are numbers n·Q, therefore give the same outcomes as all d do.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kernelsm.gradients.features import GradientFeatures

_COORDINATES_AT_ONCE = 2**24  # numbers of a block, in double precision
_NEGLIGIBLE = 1e-12  # of the largest eigenvalue: a millionth of the longest direction


def in_training_span(train: GradientFeatures, test: GradientFeatures) -> tuple[GradientFeatures, GradientFeatures]:
    """Return features in coordinates of the span of the training samples' gradients.

    Parameters
    ----------
    train, test : GradientFeatures
        In all coordinates, shape (n, Q, d).

    Returns
    -------
    GradientFeatures, GradientFeatures
        Shape (n, Q, r) with r ≤ n·Q: the same inner products of gradients of training samples with one another and
        with those of test samples.

    Examples
    --------
    >>> import numpy as np
    >>> from kernelsm import GradientFeatures
    >>> from kernelsm.gradients.training_span import in_training_span
    >>> rng = np.random.default_rng(0)
    >>> train, test = (GradientFeatures(np.zeros((n, 1)), rng.normal(size=(n, 1, 500)), np.ones(n)) for n in (4, 3))
    >>> small, small_test = in_training_span(train, test)
    >>> small.features.shape
    (4, 1, 4)
    >>> inner = [np.einsum("nqk,mqk->nm", a.features, b.features) for a, b in ((train, test), (small, small_test))]
    >>> bool(np.allclose(*inner, atol=1e-4))
    True
    """
    rows, others = (part.features.reshape(-1, part.features.shape[2]) for part in (train, test))
    own = np.zeros((len(rows), len(rows)))
    across = np.zeros((len(others), len(rows)))
    step = max(1, _COORDINATES_AT_ONCE // (len(rows) + len(others)))
    for start in range(0, rows.shape[1], step):
        some = np.asarray(rows[:, start : start + step], dtype=np.float64)
        own += some @ some.T
        across += np.asarray(others[:, start : start + step], dtype=np.float64) @ some.T
    values, vectors = np.linalg.eigh(own)
    kept = values > _NEGLIGIBLE * values[-1]
    sizes, basis = np.sqrt(values[kept]), vectors[:, kept]
    return _with(train, basis * sizes), _with(test, across @ basis / sizes)


def _with(part: GradientFeatures, coordinates: NDArray[np.float64]) -> GradientFeatures:
    return replace(part, features=coordinates.reshape(*part.features.shape[:2], -1).astype(np.float32))
