"""The ground: messages, nouns, ports, errors, tenants and the store. Imports none of the other rooms."""
