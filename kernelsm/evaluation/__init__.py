"""How good an estimate or a surrogate is, on subsets it has not seen."""
