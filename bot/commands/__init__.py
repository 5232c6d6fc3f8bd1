"""The groups of the command ``it0``, a module each: what is asked, and how the answer is printed.

What a command does is in ``bot.admin``, which each imports when it runs: that takes a second, and neither
``it0 up`` nor ``--help`` needs it.
"""
