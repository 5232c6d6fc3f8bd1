"""A public guard in its own environment: ``python peer_guard.py NAME < COMMANDS.json``.

Prints, for each command, [level, seconds]: 0 where the guard lets it run unasked, 3 for the most that it
says, 2 between.
"""

import json
import sys
import time
from collections.abc import Callable


def bash_classify() -> Callable[[str], int]:
    """A database of programs: READONLY runs, DANGEROUS is the most that it says."""
    from bash_classify.classifier import classify_expression
    from bash_classify.database import load_database

    database = load_database()
    levels = {"READONLY": 0, "DANGEROUS": 3}
    return lambda command: levels.get(classify_expression(command, database).classification.name, 2)


def claude_safety_guard() -> Callable[[str], int]:
    """A list of patterns: what it warns of is asked about, what it blocks is refused, the rest runs."""
    from claude_safety_guard import evaluate

    def judge(command: str) -> int:
        decision = evaluate(command)
        return 3 if decision.blocked else 2 if decision.has_warnings else 0

    return judge


def main() -> None:
    judge = {"bash-classify": bash_classify, "claude-safety-guard": claude_safety_guard}[sys.argv[1]]()
    found = []
    for command in json.load(sys.stdin):
        before = time.process_time()
        try:
            level = judge(command)
        except Exception:  # a guard that breaks asks, at best
            level = 2
        found.append((level, time.process_time() - before))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
