"""Logits and projected per-sample gradients at W0."""
