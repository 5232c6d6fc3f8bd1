"""How it0 looks after itself: its doctor, and what it does by itself from time to time."""
