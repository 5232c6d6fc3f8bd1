"""The built-in web console: its page, and the routes and socket behind it (docs/console-protocol.md)."""
