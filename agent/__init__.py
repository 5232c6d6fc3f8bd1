"""The agent: engines think, tools act, and everything that acts passes the gate."""
