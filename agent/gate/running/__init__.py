"""What runs: a command once, however often its process dies; asks nobody."""
