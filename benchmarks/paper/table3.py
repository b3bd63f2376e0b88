"""Table 3: LDS of surrogates on networks really fine-tuned and on prompts (see `kernelsm.paper.attribution`)."""

from __future__ import annotations

from kernelsm.paper.attribution import table_3
from kernelsm.runtime.threads import limit_blas_threads, use_torch_threads
from paper.publish import publish


def main() -> None:
    """Run it and publish the finding."""
    limit_blas_threads()
    use_torch_threads(1)
    publish(table_3())


if __name__ == "__main__":
    main()
