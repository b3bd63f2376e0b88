"""Instructions of many sources for a language model."""
