"""What a request offers and what follows from waiting, in sentences: the same on every card and list."""

from collections.abc import Iterable, Mapping

from bot.texts.visible import listed
from core.texts import Say, say
from core.work import Approval, Risk


def deciders_of(approval: Approval, names: Mapping[str, str]) -> Say:
    """Return who may decide a request. names: by user id."""
    if approval.level <= Risk.L1:
        return say("approval.by_operator")
    if not approval.four_eyes:
        key = "approval.by_several" if approval.needed > 1 else "approval.by_one"
        return say(key, count=approval.needed)
    key = "approval.by_several_else" if approval.needed > 1 else "approval.by_one_else"
    return say(key, count=approval.needed, requester=names.get(approval.requester_id, "?"))


def then_of(approval: Approval, names: Mapping[str, str]) -> Say:
    """Return who decides a request until when, and what happens then. names: by user id."""
    until = approval.expires_at.strftime("%H:%M:%S UTC")
    if approval.status != "pending":
        return say("approval.until", until=until)
    key = "approval.then_ahead" if approval.goes_ahead else "approval.then_lapses"
    return say(key, who=deciders_of(approval, names), until=until)


def read_of(approval: Approval, names: Mapping[str, str]) -> Say | None:
    """Return what the turn that asked had read of data from outside, None for nothing. names: by user id."""
    if not approval.seen:
        return None
    return say("approval.read", sources=listed(list(dict.fromkeys(_sources(approval.seen, names)))))


def grant_of(approval: Approval, names: Mapping[str, str]) -> Say | None:
    """Return what the button with the grant means, None where there is none."""
    if not approval.grant_minutes or approval.status != "pending":
        return None
    requester = names.get(approval.requester_id, "?")
    return say("approval.grant_means", requester=requester, minutes=approval.grant_minutes)


def _sources(seen: Iterable[str], names: Mapping[str, str]) -> Iterable[str | Say]:
    for source in seen:
        kind, _, name = source.partition(":")
        yield name if kind == "server" else say(f"seen.{kind}", name=names.get(name, name))
