"""The page Demonstrations."""
