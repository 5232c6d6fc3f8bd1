"""The gate: what is judged, asked for, approved and run, and the only way to a shell."""
