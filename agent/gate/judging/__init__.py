"""What level an act has: by the rules, the tenant's policy, and which hosts are its own."""
