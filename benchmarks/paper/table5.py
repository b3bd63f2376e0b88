"""Table 5: first-order errors of prompts, as `benchmarks/prompting.py` measured them."""

from __future__ import annotations

import json

from machine import RESULTS

from kernelsm.paper.finished import table_5
from paper.publish import publish


def main() -> None:
    """Read what was measured and publish the finding."""
    publish(table_5(json.loads((RESULTS / "prompting.json").read_text())))


if __name__ == "__main__":
    main()
