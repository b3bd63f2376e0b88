"""Columns become a TaskSuite: what the K tasks and q targets are."""
