"""The servers of a tenant, their credentials, and the way to each."""
