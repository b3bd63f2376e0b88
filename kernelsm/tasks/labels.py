"""What labels have to be, whatever a model is trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.runtime.errors import InputError


def check_labels(place: str, labels: NDArray[Any], length: int, classes: int) -> None:
    """Refuse labels that are not one finite number, or array of numbers, for each sample.

    Parameters
    ----------
    place : str
        What messages call them.
    labels : ndarray
    length : int
        Number of samples.
    classes : int
        Where this is above 0, each label must be one of the classes 0..classes-1.

    Raises
    ------
    InputError
        Names the first row that is wrong.
    """
    shape = (length,) if classes else (length, *labels.shape[1:])
    if labels.shape != shape:
        raise InputError(place, f"shape {labels.shape}", f"{shape}", "Give one label per sample.")
    if classes:
        check_classes(place, labels, classes)
    elif labels.dtype.kind not in "biuf":
        raise InputError(place, f"type {labels.dtype}", "numbers", "Turn the labels into numbers.")
    else:
        wrong = np.flatnonzero(~np.isfinite(labels).reshape(length, -1).all(axis=1))
        if len(wrong):
            fix = "Fill it in, or drop the sample."
            raise InputError(f"{place}, row {wrong[0]}", "a label that is not finite", "finite numbers", fix)


def check_classes(place: str, labels: NDArray[Any], classes: int) -> None:
    """Refuse labels that are not classes 0..classes-1.

    Raises
    ------
    InputError
        Names the first row that is wrong.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        found = f"label {labels[wrong[0]]}"
        raise InputError(f"{place}, row {wrong[0]}", found, f"0..{classes - 1}", "Number the classes from 0.")
