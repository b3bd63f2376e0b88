"""What preparing a project found out about the user's network, in sentences."""

from __future__ import annotations

from typing import Any

from kernelsm.app.shell.words import plain

_READINGS = {
    "own mask": " Padding is left out by the mask of its own code.",
    "without padding": " Padding is left out by running texts of one length together, which is slower.",
}


def network_sentences(about: dict[str, Any]) -> list[str]:
    """Return sentences about a network that was brought; none about one that was trained here."""
    proof = about.get("proof")
    if not proof:
        return []
    family, samples = plain(str(proof["family"])), proof["samples"]
    same = (
        f"{family}: on {samples} of your samples, padded and not, its logits are those of its own forward call, one "
        "sample at a time."
    )
    return [same + _READINGS.get(proof["reading"], "")]
