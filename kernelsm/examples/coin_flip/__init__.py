"""Coin flips in a prompt."""
