"""The hosts that a command names: the tenant's own count with their environment, others make it level 2."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Protocol

from agent.risk import named_hosts
from agent.risk.policy import NONE, Policy
from core.texts import say
from core.work import Environment, Risk, Verdict, strictest

_HERE = frozenset(("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"))


class Judge(Protocol):
    """The classifier: pure and synchronous."""

    def __call__(
        self, command: str, environment: str = "dev", count: int = 1, policy: Policy = NONE
    ) -> Verdict:
        """Return the level of ``command`` on ``count`` servers of ``environment``."""
        ...


def weighed(
    classify: Judge,
    command: str,
    environment: str,
    count: int,
    policy: Policy,
    known: Mapping[str, Environment],
) -> Verdict:
    """Return the verdict on ``command`` with the hosts that it names.

    One of the tenant's own counts with its environment, as a target does; another makes it at least L2.
    known: names and addresses of what is the tenant's own.
    """
    verdict = classify(command, environment, count, policy)
    named = [known[host] for host in verdict.hosts if host in known]
    if (counts := strictest(environment, *named)) != environment:
        verdict = classify(command, counts, count, policy)
    return with_outside(verdict, command, known, policy)


def with_outside(verdict: Verdict, command: str, known: Collection[str], policy: Policy) -> Verdict:
    """Return ``verdict`` with the hosts named in ``command`` that are none of the tenant's: at least L2."""
    outside = [host for host in verdict.hosts if not _is_inside(host, known)]
    if not outside or verdict.level >= Risk.L3:
        return verdict
    reasons = tuple(say("gate.outside_host", host=host) for host in outside)
    if verdict.level >= Risk.L2:
        return replace(verdict, reasons=(*verdict.reasons, *reasons))
    part = dict(named_hosts(command, policy)).get(outside[0], verdict.part)
    return replace(verdict, level=Risk.L2, reasons=reasons, part=part)


def _is_inside(host: str, known: Collection[str]) -> bool:
    """Return whether a host is the target itself, or one of the tenant's servers or clusters."""
    if host in known or host in _HERE:
        return True
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified or str(address) in known
