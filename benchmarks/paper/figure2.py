"""Figure 2: a decision boundary that candidates push over a test point (see `kernelsm.paper.boundary`)."""

from __future__ import annotations

from kernelsm.paper.live import figure_2
from kernelsm.runtime.threads import limit_blas_threads, use_torch_threads
from paper.publish import publish


def main() -> None:
    """Run it and publish the finding."""
    limit_blas_threads()
    use_torch_threads(1)
    publish(figure_2())


if __name__ == "__main__":
    main()
