"""From what somebody said to what is done about it: accepted, then worked off in order."""
