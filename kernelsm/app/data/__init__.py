"""The page Data & model."""
