"""The default surrogate against what experts would pick instead, on the same tables in one run.

Start with `--quick`, which takes a minute and prints a table.

.venv/bin/pip install -r requirements-bench.txt
.venv/bin/python benchmarks/rivals.py --quick        # minutes: while improving a surrogate
"""

from __future__ import annotations

import argparse
from pathlib import Path

from comparison.answers import KeptAnswers
from comparison.quick import quick

from kernelsm.runtime.threads import limit_blas_threads

KEPT = Path(__file__).parent / "kept_answers"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few cells, one table, nothing written to results/")
    parser.add_argument("--surrogate", default="default", help="a name, or module:Class(argument=literal, ...)")
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of finished answers")
    chosen = parser.parse_args()
    limit_blas_threads()
    answers = KeptAnswers(chosen.kept, lambda text: print("  " + text, flush=True))
    if chosen.quick:
        quick(chosen.surrogate, answers)


if __name__ == "__main__":
    main()
