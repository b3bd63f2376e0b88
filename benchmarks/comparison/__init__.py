"""What `benchmarks/rivals.py` is made of: contenders, tables and games, answers that are kept, and scores."""
