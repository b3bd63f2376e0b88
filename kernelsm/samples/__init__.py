"""A user's file becomes columns: CSV, JSON lines, Parquet, NPZ and data set folders."""
