"""``python -m bot`` is ``it0``."""

from bot.cli import main

main()
