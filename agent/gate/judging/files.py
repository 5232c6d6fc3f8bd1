"""What it0 does with whole files, judged by their path and by what the tenant's policy says of it."""

import shlex
from collections.abc import Sequence

from agent.files.places import check_read, judge_write
from agent.risk import level_of_reading, raised_act
from agent.risk.policy import FILE_ACTS, Policy
from core.errors import Refused
from core.ports import Classifier
from core.texts import say
from core.work import Environment, Risk, Verdict

WRITE, SEND = FILE_ACTS
_UNDO = "undo_write"


def judged_write(path: str, environment: Environment, classify: Classifier, policy: Policy) -> Verdict:
    """Return how writing ``path`` is judged; raises Refused as ``judge_write`` does."""
    return raised_act(judge_write(path, environment, classify), WRITE, path, policy, environment)


def judged_send(path: str, environment: Environment, policy: Policy) -> Verdict:
    """Return how sending ``path`` to a chat is judged; raises Refused for one that may hold a secret."""
    check_read(path)
    level = level_of_reading(path)
    reasons = (say("file.shows_configuration", path=path),) if level else ()
    return raised_act(Verdict(level, reasons, path, ""), SEND, path, policy, environment)


def judged_file(
    act: str, path: str, environment: Environment, classify: Classifier, policy: Policy
) -> Verdict:
    """Return how ``act`` on ``path`` is judged, as level 3 where it is refused."""
    try:
        if act == WRITE:
            return judged_write(path, environment, classify, policy)
        return judged_send(path, environment, policy)
    except Refused as refusal:
        return Verdict(Risk.L3, (refusal.say,), path, "", policy.version)


def file_act(command: str) -> tuple[str, str] | None:
    """Return the act and the path that a file act's short form names, None for what is none."""
    try:
        words: Sequence[str] = shlex.split(command)
    except ValueError:
        return None
    if words[:1] == [_UNDO]:
        words = [WRITE, *words[2:]]
    return (words[0], words[1]) if len(words) > 1 and words[0] in FILE_ACTS else None
