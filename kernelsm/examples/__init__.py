"""The built-in examples: samples, recipes and finished results, one folder an example."""
