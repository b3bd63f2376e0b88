"""Names of the attribution methods on prompts, as commands and links write them; nothing is imported to know them."""

from __future__ import annotations

PROMPT_METHOD_NAMES = ("prompt_influence", "prompt_tracin", "prompt_trak", "prompt_first_order")
"""In the order of `kernelsm.prompts.method_catalog.PROMPT_METHODS`."""
