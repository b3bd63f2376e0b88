"""Choosing with a surrogate: which demonstrations go into a prompt, and what such a choice is compared with."""
