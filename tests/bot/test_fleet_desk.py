"""What the API answers where a server is away just when it is asked."""

import asyncssh
from fakes.shell import ScriptedShell
from support.place import built
from support.store import Store

from agent.fleet.forms import NewServer
from agent.shell.hostkeys import fingerprint, one_line
from bot.api.caller import Caller
from bot.api.resources.fleet import FleetDesk
from bot.console.auth import Visitor
from core.errors import ServerUnreachable
from core.ports import Target
from core.texts import say

KEY = one_line(asyncssh.generate_private_key("ssh-ed25519"))


class Leaving(ScriptedShell):
    """A shell whose servers may go away."""

    is_away = False

    async def host_key(self, target: Target) -> str:
        """Return the key while the server is there."""
        if self.is_away:
            raise ServerUnreachable(server=target.server.name, reason=say("shell.reason_lost"))
        return KEY


async def test_key_of_a_server_that_is_away_is_dropped_and_that_is_no_error(store: Store) -> None:
    shell = Leaving()
    async with built(store, shell=shell) as place:
        tenant, fleet = place.tenant, place.app.fleet
        await fleet.credentials.add(tenant, place.ann, "main", "ssh_password", b"pa55word!")
        new = NewServer("db", "db.example.net", user="ops", credential="main")
        await fleet.add_server(tenant, place.ann, new, fingerprint(KEY))
        desk = FleetDesk(fleet, place.app.probing, place.app.texts)
        caller = Caller(Visitor("", "", tenant, place.ann, None), "cookie", "session", "")
        shell.is_away = True
        assert (await desk.distrust_server(caller, "db")).fingerprint == ""
        assert (await fleet.server(tenant, "db")).host_key is None
