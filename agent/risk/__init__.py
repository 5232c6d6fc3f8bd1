"""Judges command lines: which may run, which need a person, which are refused (SPEC 3).

``classify`` reads a line by a small grammar (``lexer``), asks the rule files how each program may be used
(``rules/*.toml``, ``options``, ``kinds``, ``paths``, ``scripts``), and takes the most that any part can do.
What it does not know is L2. ``forbidden`` looks apart from all this for what nobody may approve.
It is the first layer, not the boundary: what runs unasked also runs on an account without rights.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.risk.policy import NONE, Policy
from core.work import Risk, Verdict

MANY_SERVERS = 3
"""From so many servers on, a low-risk change needs an admin (SPEC 3)."""


def classify(command: str, environment: str = "dev", count: int = 1, policy: Policy = NONE) -> Verdict:
    """Return how ``command`` is judged on ``count`` servers of ``environment``; implements the port."""
    # Reading the rules takes 0.3 s and 20 MB, which a start need not wait for.
    from agent.risk.judging import classify as judge

    return judge(command, environment, count, policy)


def level_of_reading(path: str) -> Risk:
    """Return the level of showing the file ``path``, an absolute one, whatever signs its name has."""
    from agent.risk.paths import judge_path

    finding = judge_path(path)
    return finding.level if finding else Risk.L0


def raised_act(verdict: Verdict, act: str, path: str, policy: Policy, environment: str) -> Verdict:
    """Return the verdict on ``act``, one of ``FILE_ACTS``, on ``path`` with what the policy adds."""
    from agent.risk.policy.tightening import tightened_act

    return tightened_act(verdict, act, path, policy, environment)


def check_policy(document: Any) -> Mapping[str, Any]:
    """Return a policy's document, checked and in its one form; raises BadInput saying what is wrong where."""
    from agent.risk.policy.checking import checked

    return checked(document)


def named_hosts(command: str, policy: Policy = NONE) -> Sequence[tuple[str, str]]:
    """Return each host that ``command`` names, with the piece that names it."""
    from agent.risk.hosts import named_in

    return named_in(command.strip(" \t\n"), policy)
