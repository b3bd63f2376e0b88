"""The page Learn: lessons, which are data, what they show, and the walk through them."""
