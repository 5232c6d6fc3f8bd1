"""The HTTP server, which the console and the API stand in."""
