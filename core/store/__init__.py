"""The store: tables, the door to them, and one repository a noun."""
