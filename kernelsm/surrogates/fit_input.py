"""What a fit says of inputs that it cannot take."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kernelsm.runtime.errors import InputError


def name_wrong_rows(X: ArrayLike, y: ArrayLike) -> None:
    """Raise an InputError that names the first row which is not finite, where that is what is wrong."""
    for place, given in (("X", X), ("y", y)):
        try:
            table = np.asarray(given).astype(np.float64, casting="same_kind")
        except (TypeError, ValueError):  # something else is wrong with it
            continue
        if table.ndim == 0:  # None becomes a NaN
            continue
        wrong = np.flatnonzero(~np.isfinite(table.reshape(len(table), -1)).all(axis=1))
        if len(wrong):
            more = f" ({len(wrong)} such rows)" if len(wrong) > 1 else ""
            raise InputError(
                f"{place}, row {wrong[0]}", f"NaN or inf{more}", "finite numbers", "Drop or mend it."
            ) from None
