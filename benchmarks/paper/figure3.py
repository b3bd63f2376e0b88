"""Figure 3: curvature and the fit of surrogates in the course of training (see `kernelsm.paper.curvature`)."""

from __future__ import annotations

from kernelsm.paper.curvature_and_fit import figure_3
from kernelsm.runtime.store import Store
from kernelsm.runtime.threads import limit_blas_threads, use_torch_threads
from paper.publish import publish


def main() -> None:
    """Run it and publish the finding; finished curves come from the store."""
    limit_blas_threads()
    use_torch_threads(1)
    publish(figure_3(Store(), lambda done, total, message="", **more: print(message, done, total, flush=True)))


if __name__ == "__main__":
    main()
