"""What people read: every sentence in both languages, and stored rows in their words."""
