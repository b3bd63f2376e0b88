"""The abstract: attributions against leave-one-out by retraining (see `kernelsm.paper.leave_one_out`)."""

from __future__ import annotations

from kernelsm.paper.leave_one_out import leave_one_out
from kernelsm.paper.rivals import rival_answers
from kernelsm.runtime.store import Store
from kernelsm.runtime.threads import limit_blas_threads, use_torch_threads
from paper.publish import publish


def main() -> None:
    """Run it and publish the finding; gradients and estimates come from the store where they are there."""
    limit_blas_threads()
    use_torch_threads(1)
    store = Store()
    answers = rival_answers(store)
    effects = {name: {key: one.effects for key, one in found.items()} for name, found in answers.items()}
    publish(leave_one_out(store, rivals=effects))


if __name__ == "__main__":
    main()
