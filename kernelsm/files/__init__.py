"""Bytes from strangers in, whole files out: text and encodings, JSON, archives, NPZ, limits, atomic writing."""
