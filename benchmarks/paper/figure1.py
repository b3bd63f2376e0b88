"""Figure 1: influence functions, leave-one-out and linear surrogates (see `kernelsm.paper.influence`)."""

from __future__ import annotations

from kernelsm.paper.live import figure_1
from kernelsm.runtime.threads import limit_blas_threads, use_torch_threads
from paper.publish import publish


def main() -> None:
    """Run it and publish the finding."""
    limit_blas_threads()
    use_torch_threads(1)
    publish(figure_1())


if __name__ == "__main__":
    main()
