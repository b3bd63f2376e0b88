"""Figure 4: residual error by the share of subsets fitted (see `kernelsm.paper.kernels`)."""

from __future__ import annotations

from kernelsm.paper.live import figure_4
from kernelsm.runtime.threads import limit_blas_threads, use_torch_threads
from paper.outcome_tables import tables_with_published
from paper.publish import publish


def main() -> None:
    """Run it and publish the finding."""
    limit_blas_threads()
    use_torch_threads(1)
    publish(figure_4(tables_with_published()))


if __name__ == "__main__":
    main()
