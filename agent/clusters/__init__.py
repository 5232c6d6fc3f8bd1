"""The hands for clusters: which commands are theirs, and where these are run."""
