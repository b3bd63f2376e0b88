"""Names of the attribution methods, as commands and links write them; nothing is imported to know them."""

from __future__ import annotations

NAMES = (
    "default", "default_banzhaf", "rbf", "linear", "datamodels", "proxyspex", "leave_one_out", "influence_exact",
    "influence_cg", "influence_lissa", "influence_ekfac", "tracin", "tracin_checkpoints", "trak", "trak_tasks",
    "influence_pairs", "magic", "source", "bif",
)  # fmt: skip
"""Of the methods on tables, gradients and networks, in the order of `kernelsm.attributors.catalog.METHODS`."""
