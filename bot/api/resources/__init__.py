"""What the API serves, a class a kind of thing, through the doors of console and command line."""
