"""Rival attribution methods at the level of tasks: influence functions, TracIn, TRAK, MAGIC and others."""
