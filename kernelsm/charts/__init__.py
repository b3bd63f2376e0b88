"""Arrays to Plotly figures with alternative text: pure functions, usable in a notebook."""
