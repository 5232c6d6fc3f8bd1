"""The tenant's policy."""

from datetime import datetime
from typing import Any

from pydantic import Field

from bot.api.models.base import Form, View

Entries = dict[str, dict[str, Any]]


class PolicyForm(Form):
    """The whole of a policy, as docs/policy.md tells. version: the one that it was made from."""

    version: int | None = Field(None, ge=0, description="Refused where another holds by now.")
    tighten: Entries = Field(default_factory=dict, description="What is raised above the rules, by name.")
    program: Entries = Field(
        default_factory=dict, description="Programs of the tenant's own, by their names."
    )


class SimulationForm(PolicyForm):
    """A policy that is tried on what was asked for in the last days."""

    days: int = Field(30, ge=1, le=366)


class Policy(View):
    """The policy that holds; version 0 while there is none. changed_by: null for the command line."""

    version: int
    changed_at: datetime | None
    changed_by: str | None
    tighten: Entries
    program: Entries


class Count(View):
    """How many asked commands went from one level to another."""

    old: int
    new: int
    count: int


class ChangedCommand(View):
    """A command that would be judged otherwise. was: its level on record; times: how often asked for."""

    command: str
    servers: list[str]
    was: int
    old: int
    new: int
    entry: str
    reasons: list[str]
    times: int
    first: datetime
    last: datetime


class Simulation(View):
    """What a policy would have done. left_out: changed commands that are counted and not listed."""

    since: datetime
    asked: int
    counts: list[Count]
    changed: list[ChangedCommand]
    left_out: int
