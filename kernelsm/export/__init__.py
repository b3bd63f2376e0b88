"""What leaves the app as a file: reports, notebooks, tables, prompts, and the code of a view."""
