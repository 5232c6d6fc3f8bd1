"""Taking a server's host key for its own, once a person has compared it."""

from agent.context import Call, Work
from agent.engine import Answer
from agent.fleet.servers import Fleet
from agent.gate.actions.probing import Probing
from agent.gate.answers import waiting
from agent.gate.deciding.approvals import Approvals
from core.errors import It0Error
from core.texts import Say, say
from core.work import Action, Risk, Server, Verdict


class Trusting:
    """Asks people for host keys, and keeps those that they confirmed."""

    def __init__(self, fleet: Fleet, approvals: Approvals, probing: Probing) -> None:
        self._fleet = fleet
        self._approvals = approvals
        self._probing = probing

    async def ask(self, call: Call, server: Server, shown: str) -> Answer:
        """Ask a person to confirm the host key that ``server`` shows (SECURITY H2)."""
        action = Action("trust", f"trust {server.name} {shown}", (server.id,), (shown,), (server.ssh_user,))
        reason = say("server.first_contact", server=server.name, host=server.host, fingerprint=shown)
        verdict = Verdict(Risk.L2, (reason,), action.command, "")
        approval, nobody = await self._approvals.ask(call.work, call.step, action, verdict)
        what = say("server.confirm_key", server=server.name, fingerprint=shown, code=approval.code)
        return waiting(approval, nobody, what)

    async def trust(self, work: Work, server: Server, shown: str) -> Say | None:
        """Keep a key that was confirmed, and look what the account can do; return why it was not kept."""
        try:
            await self._fleet.trust(work.tenant, work.user, server, shown)
        except It0Error as error:
            return error.say
        trusted = await self._fleet.server(work.tenant, server.name)
        await self._probing.learn(work.tenant, work.user, trusted, work.address.channel)
        return None
