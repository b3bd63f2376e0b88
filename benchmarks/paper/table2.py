"""Table 2: first-order errors of fine-tuned networks, from the finished results."""

from __future__ import annotations

from kernelsm.paper.finished import table_2
from kernelsm.runtime.threads import limit_blas_threads
from paper.publish import publish


def main() -> None:
    """Run it and publish the finding."""
    limit_blas_threads()
    publish(table_2())


if __name__ == "__main__":
    main()
