"""Errors, checks of settings, the store of finished chunks, jobs in processes of their own, threads."""
