"""Movie reviews in a prompt."""
