"""Where people talk to it0; a channel translates, and knows nothing of the agent."""
