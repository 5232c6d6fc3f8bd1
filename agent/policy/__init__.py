"""A tenant's policy as people make it: read, checked, stored in versions, tried on what was asked before."""
