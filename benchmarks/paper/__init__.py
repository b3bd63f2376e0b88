"""The paper, claim by claim: one script a figure or table. `python -m paper` in `benchmarks/` runs them all."""
