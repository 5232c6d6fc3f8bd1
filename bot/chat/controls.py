"""Commands about it0 itself, which hold for every engine: stop, halt, resume, approvals, language, …"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from agent.context import Desk, Work
from agent.fleet.changes import admins_only
from agent.fleet.forms import NAME
from agent.fleet.secrets import expiry_of
from agent.gate.deciding.approvals import Approvals
from agent.gate.deciding.typed import own_code
from agent.people import set_language
from bot.chat.about import CONSOLE, Command, is_private
from bot.console.limits import Tally
from bot.inbound.front import STOP_WORDS
from bot.inbound.workers import CONTROL_TOPIC
from bot.texts.terms import then_of
from bot.texts.visible import in_one_line, listed, sentences, visible
from core.audit import Entry
from core.errors import BadInput, NotAllowed, Refused
from core.ids import new_token
from core.messages import Code, Part, command_word
from core.store import approvals as approval_store
from core.store import clusters, inbox, log, people, preferences, talks
from core.store import fleet as fleet_store
from core.store.database import Row, Transaction
from core.store.people import token_hash
from core.tenant import Tenant
from core.texts import LANGUAGES, say
from core.work import Action, Approval, Risk, Role, Server, User, may_decide

FORM_KINDS = ("ssh_key", "ssh_password", "kubeconfig")
FORM_MINUTES = 10
SSH_PORT = 22
SHOWN = 20
"""Waiting approvals that a chat lists; the console has them all."""


class Controls:
    """The commands. url: the console's address; doctor: returns the report's lines; more: others by name."""

    def __init__(
        self,
        desk: Desk,
        approvals: Approvals,
        stop_here: Callable[[str, str | None], int],
        url: str,
        doctor: Callable[[Tenant], Awaitable[Sequence[Part]]],
        more: Mapping[str, Command] | None = None,
    ) -> None:
        self._desk = desk
        self._approvals = approvals
        self._stop_here = stop_here
        self._url = url
        self._doctor = doctor
        self._noted = Tally()
        self._commands: Mapping[str, Command] = {
            "/stop": self.stop,
            "/halt": self.halt,
            "/resume": self.resume,
            "/approvals": self.list_approvals,
            "/approve": self.explain_words,
            "/reject": self.explain_words,
            "/language": self.language,
            "/credential": self.credential,
            "/doctor": self.report,
            **(more or {}),
        }

    def find(self, text: str) -> Command | None:
        """Return the command that ``text`` calls, or None."""
        if text.strip().lower() in STOP_WORDS:
            return self.stop
        command = self._commands.get(command_word(text))
        return self._on_record(command, command_word(text)) if command else None

    def _on_record(self, command: Command, name: str) -> Command:
        """Return ``command`` so that who may not call it is on record: a row a minute, with a count."""

        async def call(work: Work, words: Sequence[str]) -> Sequence[Part]:
            try:
                return await command(work, words)
            except NotAllowed as error:
                count = self._noted.take((work.tenant.id, work.user.id, name))
                if count:
                    user = work.user.id
                    detail = {
                        "what": "command",
                        "command": name,
                        "code": error.say.key,
                        "name": work.user.name,
                        "count": count,
                    }
                    channel = work.address.channel
                    entry = Entry("user.refused", "user", user, None, "user", user, channel, detail=detail)
                    await work.tenant.audit.append(entry, self._desk.clock())
                raise

        return call

    def names(self) -> list[str]:
        """Return every command."""
        return list(self._commands)

    async def stop(self, work: Work, _: Sequence[str]) -> Sequence[Part]:
        """End what runs at this place, or withdraw what waits there; also of conversations closed before."""
        closed: list[str] = []
        if work.address.channel != CONSOLE:
            async with work.tenant.reading() as db:
                closed = [
                    each for each in await talks.busy_at(db, work.address) if each != work.conversation_id
                ]
        busy, withdrawn = False, 0
        for conversation in (work.conversation_id, *closed):
            stopped, count = await self._stop_in(work, conversation)
            busy, withdrawn = busy or stopped, withdrawn + count
        if busy:
            return [say("stop.stopping")]
        return [say("stop.withdrawn", count=withdrawn)] if withdrawn else [say("stop.nothing")]

    async def _stop_in(self, work: Work, conversation: str) -> tuple[bool, int]:
        """Return whether something ran in a conversation, and how many requests were withdrawn."""
        tenant = work.tenant
        async with tenant.transaction() as tx:
            busy = await inbox.ask_to_stop(tx, tenant.id, conversation)
            waiting = await tx.all(approval_store.PENDING_IN, conversation=conversation)
            seq = await tx.value(inbox.RUNNING_TURN, tenant=tenant.id, conversation=conversation)
            running = await log.event_at(tx, conversation, seq) if seq is not None else None
        if busy:
            self._stop_here(tenant.id, conversation)
            await self._desk.bus.publish(CONTROL_TOPIC, {"stop": [tenant.id, conversation]})
            # What the turn has just asked for goes with it: its card may be seen before its end is written.
            waiting = [row for row in waiting if running and row["turn_id"] == running["turn_id"]]
        return busy, await self._withdraw(work, waiting)

    async def _withdraw(self, work: Work, waiting: Sequence[Row]) -> int:
        """Take back the requests that ``work``'s user may take back; return how many that were."""
        withdrawn = 0
        for row in waiting:
            if row["requester_id"] == work.user.id or work.user.role.covers(Role.ADMIN):
                approval = approval_store.approval_of(row)
                withdrawn += await self._approvals.cancel(work.tenant, work.user, approval)
        return withdrawn

    async def halt(self, work: Work, _: Sequence[str]) -> Sequence[Part]:
        """Stop every turn and act of the tenant until an admin resumes."""
        await self.set_halted(work.tenant, work.user, work.address.channel, halted=True)
        return [say("halt.done")]

    async def resume(self, work: Work, _: Sequence[str]) -> Sequence[Part]:
        """Let work go on after a halt."""
        await self.set_halted(work.tenant, work.user, work.address.channel, halted=False)
        return [say("halt.over")]

    async def set_halted(self, tenant: Tenant, user: User, channel: str, *, halted: bool) -> None:
        """Halt a tenant (operators), or end its halt (admins); what runs is stopped on its servers."""
        if not user.role.covers(Role.OPERATOR if halted else Role.ADMIN):
            raise NotAllowed("halt.operators_only" if halted else "halt.admins_only")
        now = self._desk.clock()
        action = "tenant.halt" if halted else "tenant.resume"
        async with tenant.transaction() as tx:
            await preferences.put(tx, "halted_by", user.name if halted else None, now, user.id)
            why = say("grant.why_halted", who=user.name)
            ended = await self._approvals.grants.void(tx, tenant, why) if halted else ()
            for entry in (Entry(action, "user", user.id, channel=channel), *ended):
                await tenant.audit.append_in(tx, entry, now)
        if halted:
            self._stop_here(tenant.id, None)
            await self._desk.bus.publish(CONTROL_TOPIC, {"halt": tenant.id})
        self._desk.changed(tenant.id, "halt")
        self._desk.changed(tenant.id, "grants")

    async def list_approvals(self, work: Work, _: Sequence[str]) -> Sequence[Part]:
        """List what waits for people, each with all that a decision needs."""
        is_alone = await is_private(work.tenant, work.user, work.address)
        async with work.tenant.reading() as db:
            pending = (await approval_store.page_of(db, "pending", count=SHOWN))[0]
            count = await db.value(approval_store.PENDING)
            ids = sorted({each for approval in pending for each in approval.action.server_ids})
            servers = await clusters.places_by_id(db, ids)
            names = {user.id: user.name for user in await people.users(db)}
            lines: list[Part] = []
            for approval in pending:
                own = await words_for(db, approval, work.user, "approvals.own_code") if is_alone else ()
                lines += [*described(approval, servers, names), *own]
        if not pending:
            return [say("approvals.none")]
        more = [say("list.more", count=count - len(pending))] if count > len(pending) else []
        return [say("approvals.count", count=count), *lines, *more]

    async def explain_words(self, _: Work, __: Sequence[str]) -> Sequence[Part]:
        """Say how one decides in words: what stood behind the command was no code."""
        return [say("approval.words_usage")]

    async def language(self, work: Work, words: Sequence[str]) -> Sequence[Part]:
        """Set the user's language."""
        wanted = words[0].lower() if words else ""
        if wanted not in LANGUAGES:
            raise BadInput("language.unknown", languages=listed(LANGUAGES))
        await set_language(work.tenant, work.user, wanted, work.address.channel, self._desk.clock())
        self._desk.changed(work.tenant.id, "people")
        return [say(f"language.set_{wanted}")]

    async def credential(self, work: Work, words: Sequence[str]) -> Sequence[Part]:
        """Make a one-time form for a secret, because a chat is no place for one."""
        admins_only(work.user)
        expires = next((word.partition("=")[2] for word in words if word.startswith("expires=")), "")
        words = [word for word in words if not word.startswith("expires=")]
        name = words[0] if words else ""
        kind = words[1] if len(words) > 1 else "ssh_key"
        if not NAME.fullmatch(name) or kind not in FORM_KINDS:
            raise BadInput("credential.usage")
        if not await is_private(work.tenant, work.user, work.address):
            raise Refused("credential.ask_in_private", credential=name)
        token, now, until = new_token(), self._desk.clock(), expiry_of(expires)
        if until is not None and until <= now:
            raise BadInput("credential.bad_expiry")
        async with work.tenant.transaction() as tx:
            await tx.run(
                fleet_store.ADD_FORM,
                token_hash=token_hash(token),
                name=name,
                kind=kind,
                user_id=work.user.id,
                expires_at=now + timedelta(minutes=FORM_MINUTES),
                secret_expires_at=until,
            )
        link = f"{self._url}/secret/{work.tenant.row.slug}.{token}"
        return [say("credential.form", credential=name, minutes=FORM_MINUTES), link]

    async def report(self, work: Work, _: Sequence[str]) -> Sequence[Part]:
        """Say how it0 itself is."""
        admins_only(work.user)
        return await self._doctor(work.tenant)


async def words_for(db: Transaction, approval: Approval, reader: User, key: str) -> Sequence[Part]:
    """Return the sentence ``key`` with the code by which ``reader`` decides in words, if they may."""
    if approval.status != "pending" or may_decide(reader, approval) is not None:
        return ()
    if approval.level >= Risk.L2 and not (await preferences.load(db)).step_up:
        return ()
    return (say(key, own=own_code(approval.id, approval.nonce, reader.id)),)


def described(
    approval: Approval, servers: Mapping[str, Server], names: Mapping[str, str], key: str = "approvals.line"
) -> tuple[Part, Part]:
    """Return an approval with all that a decision needs: a sentence, and its command.

    The command is data, so that it cannot pass for another approval. key: of the sentence.
    """
    places = [
        _place(servers.get(server_id), user)
        for server_id, user in zip(approval.action.server_ids, approval.action.os_users, strict=True)
    ]
    words = say(
        key,
        code=approval.code,
        level=int(approval.level),
        servers=listed(places),
        requester=visible(names.get(approval.requester_id, "?")),
        reasons=sentences([in_one_line(reason) for reason in approval.reasons]),
        then=then_of(approval, names),
    )
    return words, Code(_shown(approval.action), approval.code)


def _shown(action: Action) -> str:
    """Return what is decided about, so that all of it is seen; a diff keeps its lines."""
    if action.edit is None:
        return visible(action.command)
    return "\n".join(map(visible, action.shown.split("\n")))


def _place(server: Server | None, user: str) -> str:
    if server is None:
        return "?"
    port = f":{server.port}" if server.connection != "local" and server.port != SSH_PORT else ""
    return f"{server.name} ({user}@{server.host}{port})" if user else server.name
