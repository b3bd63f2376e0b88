"""Modular quadratic."""
