"""What each of kubectl's verbs does and prints."""
