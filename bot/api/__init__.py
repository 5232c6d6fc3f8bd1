"""The JSON API below ``/api/v1``: for scripts (docs/api.md)."""
