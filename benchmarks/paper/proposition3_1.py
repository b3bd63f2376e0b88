"""Proposition 3.1: what the coefficients of a linear surrogate are (see `kernelsm.paper.proposition`)."""

from __future__ import annotations

from kernelsm.paper.live import proposition_3_1
from kernelsm.runtime.threads import limit_blas_threads, use_torch_threads
from paper.publish import publish


def main() -> None:
    """Run it and publish the finding."""
    limit_blas_threads()
    use_torch_threads(1)
    publish(proposition_3_1(repeats=1000))


if __name__ == "__main__":
    main()
