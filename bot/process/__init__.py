"""A process's life: how it begins, what it runs, and how it ends."""
