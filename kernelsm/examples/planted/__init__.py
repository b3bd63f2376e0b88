"""The planted game."""
