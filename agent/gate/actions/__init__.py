"""What may be asked beside a plain command, a module a kind: it has it judged, decided and run."""
