"""Files on servers as whole texts: which may be written, how a change is made out, and the scripts for it."""
