"""The only package that knows everyone: each process is built here, as one async context manager."""

from bot.wiring.build import build
from bot.wiring.ground import App, Parts

__all__ = ["App", "Parts", "build"]
