"""What decides: the level by rules and policy, then people by vote, grant and second factor."""
