"""Benchmarks: it0 beside a bare baseline, measured in one run. ``python -m benchmarks [NAME…] [--quick]``."""
