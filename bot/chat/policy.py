"""``/policy``: the tenant's own rules, by admins' own words and no model's."""

import re
from collections.abc import Mapping, Sequence

from agent.context import Work
from agent.fleet.changes import admins_only
from agent.gate.judging.judging import Judging
from agent.policy.documents import Draft, draft_of
from agent.policy.policies import By, Policies
from agent.policy.simulating import simulate
from agent.policy.words import count_of, lines_of, outcome_of
from bot.chat.about import Command
from core.clock import Clock
from core.errors import BadInput
from core.messages import DATA, Part
from core.store import log
from core.texts import say

_FENCE = re.compile(r"\s*```\w*\n(.*?)\n?```\s*", re.DOTALL)


class PolicyCommands:
    """The command."""

    def __init__(self, policies: Policies, judging: Judging, clock: Clock) -> None:
        self._policies = policies
        self._judging = judging
        self._clock = clock

    def commands(self) -> Mapping[str, Command]:
        """Return the command by name."""
        return {"/policy": self.policy}

    async def policy(self, work: Work, words: Sequence[str]) -> Sequence[Part]:
        """Show the policy, change it, or try a changed one on what was asked before."""
        admins_only(work.user)
        by = By(work.user, work.address.channel)
        match list(words):
            case []:
                return lines_of(await self._policies.current(work.tenant))
            case ["remove", name]:
                stored = await self._policies.remove(work.tenant, by, name)
                return [say("policy.removed", entry=name, version=stored.version)]
            case ["set", *_]:
                stored = await self._policies.put(work.tenant, by, await _below(work))
                return [say("policy.set", version=stored.version, count=count_of(stored))]
            case ["simulate", *_]:
                draft = await _below(work)
                return outcome_of(await simulate(work.tenant, self._judging, draft.document, self._clock))
        raise BadInput("policy.usage")


async def _below(work: Work) -> Draft:
    """Return the policy that a person typed below the command; what a file brings is data, and none."""
    async with work.tenant.reading() as db:
        event = await log.event_at(db, work.conversation_id, work.taken.seq)
    text = event["body"]["text"] if event else ""
    first, _, below = text.strip().partition("\n")
    if not below.strip() or DATA in text or len(first.split()) != 2:
        raise BadInput("policy.usage")
    fenced = _FENCE.fullmatch(below)
    return draft_of(fenced[1] if fenced else below)
