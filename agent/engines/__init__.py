"""The engines: ways to think, all behind the same port."""
