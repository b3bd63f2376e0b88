"""The page of whoever runs the server, which a setting turns on."""
