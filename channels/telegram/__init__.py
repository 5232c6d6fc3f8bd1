"""Telegram: ``updates`` come in, ``calls`` go out, ``errors`` say what came of them; see ``protocol.md``.

All of these are pure: nothing in them sends or waits.
"""
