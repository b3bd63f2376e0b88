"""g(s): linear and kernel surrogates, and what is read off them exactly."""
