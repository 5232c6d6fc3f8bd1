"""What the command line does beside a running it0: each on the same database, through the same doors."""
