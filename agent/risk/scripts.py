"""Checkers for the small languages inside arguments: jq and yq. Each lists what it must not say."""

import re

_JQ_DENIED = re.compile(
    r"\benv\b|\$ENV|\binput_filename\b|\bimport\b|\binclude\b|\bmodulemeta\b|\$__prog", re.IGNORECASE
)


def jq_only_reads(text: str) -> bool:
    """Return whether a jq filter looks at nothing but its input."""
    return _JQ_DENIED.search(text) is None


_YQ_DENIED = re.compile(r"load|eval|strenv|envsubst|from_file|split_doc|system|exec", re.IGNORECASE)


def yq_only_reads(text: str) -> bool:
    """Return whether a yq filter, of either program of that name, looks at nothing but its input."""
    return jq_only_reads(text) and _YQ_DENIED.search(text) is None
