"""What the audit log says of a request: asked for, voted on, refused a vote, ended by time."""

from agent.context import Work
from agent.gate.deciding.votes import Ballot, Click
from core.audit import Entry
from core.texts import Say
from core.work import Approval, User


def asked(work: Work, approval: Approval) -> Entry:
    """Return the row of a new request."""
    return Entry(
        "approval.asked",
        "agent",
        None,
        None,
        "approval",
        approval.id,
        channel=work.address.channel,
        detail={**_detail(approval), "requester": approval.requester_id},
        key=f"approval.asked:{approval.id}",
    )


def voted(user: User, ballot: Ballot, click: Click) -> Entry:
    """Return the row of a vote that counts."""
    detail = {**_detail(ballot.approval), "verdict": click.verdict, "status": ballot.status}
    if click.grants:
        detail["grants_minutes"] = ballot.approval.grant_minutes
    return Entry(
        f"approval.{click.verdict}",
        "user",
        user.id,
        user.id if click.verdict == "approve" else None,
        "approval",
        ballot.approval.id,
        click.channel,
        click.ip,
        {**detail, "event": click.event_id},
        key=f"approval.vote:{ballot.approval.id}:{user.id}",
    )


def refused(user: User, approval: Approval | None, click: Click, why: Say) -> Entry:
    """Return the row of a vote that does not count: it came too late, or was not its person's to cast."""
    about = _detail(approval) if approval else {}
    is_late = why.key.startswith(("approval.was", "approval.time"))
    action = "approval.late" if is_late else "approval.refused"
    return Entry(
        action,
        "user",
        user.id,
        None,
        "approval",
        click.approval_id[:64],
        click.channel,
        click.ip,
        {**about, "verdict": click.verdict, "why": why.key, "event": click.event_id},
        key=f"{action}:{user.id}:{click.event_id}",
    )


def withdrawn(user: User, approval: Approval) -> Entry:
    """Return the row of a request that was taken back."""
    detail = {**_detail(approval), "requester": approval.requester_id}
    return Entry("approval.cancelled", "user", user.id, None, "approval", approval.id, detail=detail)


def by_time(approval: Approval, status: str) -> Entry:
    """Return the audit row of a request that time has settled."""
    action = "approval.went_ahead" if status == "approved" else "approval.expired"
    rule = {"rule": "time-out"} if status == "approved" else {}
    return Entry(
        action,
        "system",
        None,
        None,
        "approval",
        approval.id,
        detail={**_detail(approval), **rule, "requester": approval.requester_id},
        key=f"{action}:{approval.id}",
    )


def _detail(approval: Approval) -> dict[str, object]:
    return {
        "code": approval.code,
        "command": approval.action.command,
        "level": int(approval.level),
        "digest": approval.digest,
        "rules": approval.rules,
        "policy": approval.policy,
        "kind": approval.action.kind,
        "servers": list(approval.action.server_ids),
    }
