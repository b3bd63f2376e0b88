"""The page Subsets."""
