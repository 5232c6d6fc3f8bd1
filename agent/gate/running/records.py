"""What the audit log says of a run: what is intended before anything is sent, and what came of it."""

from collections.abc import Sequence
from hashlib import sha256

from agent.gate.running.jobs import Job
from core.audit import Entry
from core.work import RunTarget


def intent_of(job: Job) -> Entry:
    """Return the row that stands before anything is sent."""
    return _entry(job, "command.intent", {"digest": job.digest})


def result_of(job: Job, results: Sequence[RunTarget]) -> Entry:
    """Return the row of how it went on each server; of output it has a hash."""
    outcome = [
        {
            "server": r.server,
            "state": r.state,
            "exit_code": r.exit_code,
            "duration_ms": r.duration_ms,
            "output_sha256": sha256((r.stdout + r.stderr).encode()).hexdigest(),
        }
        for r in results
    ]
    return _entry(job, "command.result", {"results": outcome})


def _entry(job: Job, action: str, more: dict[str, object]) -> Entry:
    users = job.users
    detail = {
        "command": job.run.command,
        "kind": "file" if job.errand else "run",
        "level": int(job.run.level),
        "servers": [name for _, name in job.run.servers],
        "users": [users.get(server_id, "") for server_id, _ in job.run.servers],
        "requester": job.run.requester_id,
        "turn": job.run.turn_id,
        **more,
    }
    return Entry(
        action,
        "agent",
        job.actor,
        job.run.approver_id,
        "run",
        job.run.id,
        channel=job.channel or None,
        detail=detail,
        key=f"{action}:{job.run.id}",
    )
