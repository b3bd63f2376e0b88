"""The paper's claims, computed anew: one file a claim, shared by the benchmarks and the page that shows them."""
