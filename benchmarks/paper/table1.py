"""Table 1 (see `kernelsm.paper.kernels`), with the outcomes published by the authors where they are."""

from __future__ import annotations

from kernelsm.paper.live import table_1
from kernelsm.runtime.threads import limit_blas_threads
from paper.outcome_tables import tables_with_published
from paper.publish import publish


def main() -> None:
    """Run it and publish the finding."""
    limit_blas_threads()
    publish(table_1(tables_with_published()))


if __name__ == "__main__":
    main()
