"""Who decides is who they say: second factors, and when one is asked for."""
