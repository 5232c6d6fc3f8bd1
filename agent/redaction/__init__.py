"""Known secrets are kept out of whatever is shown or stored."""
