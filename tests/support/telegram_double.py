"""A loopback Bot API at its HTTP edge, as strict as Telegram; its people are in ``telegram_people``.

Whoever calls it is the vendor's own client: ``telegram.Bot(token, base_url=f"{double.url}/bot",
base_file_url=f"{double.url}/file/bot")``. Only HTML is understood as form, as it0 sends nothing else.
"""

import asyncio
import contextlib
import math
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from aiohttp import ClientError, ClientSession, ClientTimeout, web
from support.telegram_people import Account, Chat, Json, Message, People, Upload
from support.telegram_rules import (
    MAX_CAPTION,
    MAX_DOWNLOAD,
    MAX_TEXT,
    Refused,
    answered,
    looks,
    read,
    rows_of,
    visible_text,
)
from telegram.constants import ChatAction, ReactionEmoji

from channels.markup.characters import utf16_length

T = TypeVar("T")
_WRITES = {"sendmessage", "senddocument", "editmessagetext", "editmessagereplymarkup", "sendmessagedraft"}
_POLLED_TWICE = "terminated by other getUpdates request; make sure that only one bot instance is running"
_HOOKED = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
_SAME = (
    "message is not modified: specified new message content and reply markup are exactly the same as a"
    " current content and reply markup of the message"
)
_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"


class Call(NamedTuple):
    """A call as it came. data: read from whichever form it had; at: monotonic."""

    token: str
    method: str
    data: Json
    at: float


@dataclass
class Flood:
    """A limit that holds. until: None before the first call was told."""

    seconds: float
    until: float | None = None


class TelegramDouble(People):
    """The API. calls: all, in order; violations: those that came before a ``retry_after`` was over.

    conflicts: polls that another one ended. per_chat: messages a second, per_group: messages a minute, 0 for
    no limit.
    """

    def __init__(self, token: str, username: str, per_chat: int = 20, per_group: int = 300) -> None:
        super().__init__()
        self.add_bot(token, username)
        self.per_chat, self.per_group = per_chat, per_group
        self.url = ""
        self.retry_pause_s = 0.05
        self.conflicts = 0
        self.calls: list[Call] = []
        self.violations: list[Call] = []
        self.commands: dict[tuple[str, str], list[Json]] = {}
        self.answers: dict[str, str] = {}
        self.drafts: dict[tuple[int, int], str] = {}
        self._faults: dict[str, list[tuple[str, Refused | None]]] = defaultdict(list)
        self._floods: dict[tuple[str, int | None], Flood] = {}
        self._written: dict[tuple[str, int], list[float]] = defaultdict(list)
        self._changed = asyncio.Event()
        self._methods: dict[str, Callable[[Account, Json], Awaitable[Any]]] = {
            name.removeprefix("_do_").replace("_", ""): getattr(self, name)
            for name in dir(self)
            if name.startswith("_do_")
        }

    # What a test sets and reads.

    def flood(self, seconds: float, chat_id: int | None = None) -> None:
        """Let the next call to a chat (to any) be told to wait, and all others until that time is over."""
        self._floods["", chat_id] = Flood(seconds)

    def fail(
        self, method: str, status: int, description: str, times: int = 1, parameters: Json | None = None
    ) -> None:
        """Let the next calls of a method fail with these words, just as they are."""
        refused = Refused("", status, **(parameters or {}))
        refused.args = (description,)
        self._faults[method.lower()] += [("fail", refused)] * times

    def hang(self, method: str, times: int = 1) -> None:
        """Never answer the next calls of a method."""
        self._faults[method.lower()] += [("hang", None)] * times

    def cut(self, method: str, times: int = 1) -> None:
        """Drop the connection of the next calls of a method, without doing it."""
        self._faults[method.lower()] += [("cut", None)] * times

    def lose_answer(self, method: str, times: int = 1) -> None:
        """Do what the next calls of a method ask for, and drop the connection."""
        self._faults[method.lower()] += [("lose", None)] * times

    async def until(self, condition: Callable[[], T], timeout_s: float = 10) -> T:
        """Return what ``condition`` returns as soon as it counts as true; asked after calls and polls."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await self._changed.wait()
        if found := condition():
            return found
        raise AssertionError(f"not within {timeout_s} s; the last calls: {self.calls[-5:]}")

    # The HTTP edge.

    def app(self) -> web.Application:
        """Return the server."""
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/bot{token}/{method}", self._call)
        app.router.add_get("/file/bot{token}/{path:.+}", self._download)
        return app

    async def close(self) -> None:
        """Stop what goes on by itself."""
        for account in self.accounts.values():
            await self._unhook(account)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        token, method = request.match_info["token"], request.match_info["method"]
        fault = ""
        try:
            data = await read(request)
            call = Call(token, method, data, time.monotonic())
            self.calls.append(call)
            self._tell()
            account, name = self.accounts.get(token), method.lower()
            if account is None:
                raise Refused("Unauthorized", 401)
            if name not in self._methods:
                raise Refused("Not Found", 404)
            if self._faults[name]:
                fault, refused = self._faults[name].pop(0)
                if refused:
                    raise refused
            if fault == "hang":
                await asyncio.Event().wait()
            if fault == "cut":
                return _dropped(request)
            self._pace(call)
            result = await self._methods[name](account, data)
        except Refused as refusal:
            answer = {"ok": False, "error_code": refusal.code, "description": str(refusal)}
            more = {"parameters": refusal.parameters} if refusal.parameters else {}
            return web.json_response(answer | more, status=refusal.code)
        finally:
            self._tell()
        return _dropped(request) if fault == "lose" else web.json_response({"ok": True, "result": result})

    async def _download(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        found = [file for file in self.files.values() if file.name == path]
        if request.match_info["token"] not in self.accounts or not found:
            raise web.HTTPNotFound
        return web.Response(body=found[0].content)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _pace(self, call: Call) -> None:
        """Refuse what comes too fast; a flood's time begins when it is told, as it is counted then."""
        chat_id = call.data.get("chat_id")
        if not isinstance(chat_id, int):
            return
        key, now, name = (call.token, chat_id), call.at, call.method.lower()
        written = self._written[key] = [at for at in self._written[key] if now - at < 60]
        for limit, window in ((self.per_chat, 1.0), (self.per_group if chat_id < 0 else 0, 60.0)):
            recent = [at for at in written if now - at < window]
            if limit and name in _WRITES and len(recent) >= limit and key not in self._floods:
                self._floods[key] = Flood(math.ceil(recent[-limit] + window - now))
        for holder in (key, ("", chat_id), ("", None)):
            if flood := self._floods.get(holder):
                if flood.until is None:
                    flood.until = now + flood.seconds
                elif now < flood.until:
                    self.violations.append(call)
                else:
                    del self._floods[holder]
                    continue
                wait = max(1, math.ceil(flood.until - now))
                raise Refused(f"Too Many Requests: retry after {wait}", 429, retry_after=wait)
        if name in _WRITES:
            written.append(now)

    # Updates.

    async def _do_get_updates(self, account: Account, data: Json) -> list[Json]:
        if account.hook:
            raise Refused(_HOOKED, 409)
        self.conflicts += _end_poll(account, _POLLED_TWICE)
        _allow(account, data)
        offset, limit = data.get("offset", 0), min(max(data.get("limit", 100), 1), 100)
        account.queue = account.queue[offset:] if offset < 0 else _from(account.queue, offset)
        account.poll = ended = asyncio.get_running_loop().create_future()
        with contextlib.suppress(TimeoutError), self._hung_up(account):
            async with asyncio.timeout(min(data.get("timeout", 0), 50)):
                while not (account.queue or account.again or ended.done()):
                    account.arrived.clear()
                    arrival = asyncio.ensure_future(account.arrived.wait())
                    try:
                        await asyncio.wait((arrival, ended), return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        arrival.cancel()
        if ended.done():
            raise Refused(ended.result(), 409)
        account.poll = None
        found = [*account.again, *account.queue][:limit]
        account.again = account.again[limit:]
        return found

    @contextlib.contextmanager
    def _hung_up(self, account: Account) -> Iterator[None]:
        """Know of no poll any more when whoever polls goes away."""
        poll = account.poll
        try:
            yield
        except asyncio.CancelledError:
            if account.poll is poll:
                account.poll = None
            self._tell()
            raise

    async def _do_set_webhook(self, account: Account, data: Json) -> bool:
        if not re.fullmatch(r"[\w-]{0,256}", data.get("secret_token", ""), re.A):
            raise Refused("secret token contains unallowed characters")
        await self._do_delete_webhook(account, data)
        # Telegram takes https only; on loopback there is nobody to hide from.
        if url := data.get("url"):
            _end_poll(account, "terminated by setWebhook request")
            _allow(account, data)
            account.hook = {"url": url, "secret_token": data.get("secret_token", "")}
            account.pushing = asyncio.create_task(self._push(account))
        return True

    async def _do_delete_webhook(self, account: Account, data: Json) -> bool:
        await self._unhook(account)
        if str(data.get("drop_pending_updates", "")).lower() == "true":
            account.queue.clear()
        return True

    async def _do_get_webhook_info(self, account: Account, data: Json) -> Json:
        kept = {name: value for name, value in account.hook.items() if name != "secret_token"}
        pending = {"pending_update_count": len(account.queue), "has_custom_certificate": False}
        allowed = {"allowed_updates": list(account.allowed)} if account.allowed else {}
        return {"url": "", **kept, **pending, **allowed}

    async def _unhook(self, account: Account) -> None:
        account.hook = {}
        if pushing := account.pushing:
            account.pushing = None
            pushing.cancel()
            await asyncio.wait([pushing])

    async def _push(self, account: Account) -> None:
        """Send each update to the webhook until it is taken, one after another."""
        hook = account.hook
        headers = {"X-Telegram-Bot-Api-Secret-Token": hook["secret_token"]} if hook["secret_token"] else {}
        async with ClientSession(timeout=ClientTimeout(60)) as session:
            while True:
                while not (waiting := account.again or account.queue):
                    account.arrived.clear()
                    await account.arrived.wait()
                try:
                    async with session.post(hook["url"], json=waiting[0], headers=headers) as response:
                        if response.ok:
                            waiting.pop(0)
                            self._tell()
                            continue
                        wrong = f"Wrong response from the webhook: {response.status} {response.reason}"
                except (ClientError, TimeoutError):
                    wrong = "Connection refused"
                hook |= {"last_error_message": wrong, "last_error_date": int(time.time())}
                await asyncio.sleep(self.retry_pause_s)

    # Methods.

    async def _do_get_me(self, account: Account, data: Json) -> Json:
        return {**account.user, "can_join_groups": True, "can_read_all_group_messages": True}

    async def _do_send_message(self, account: Account, data: Json) -> Json:
        chat = self._chat(data)
        topic_id, reply_to = self._place(chat, data), answered(chat, data)
        visible = visible_text(data, "text", MAX_TEXT, "message is too long")
        form = {
            "html": "parse_mode" in data,
            "topic_id": topic_id,
            "reply_to": reply_to,
            "rows": rows_of(data),
        }
        return self._keep(account, chat, text=data["text"], visible=visible, **form)

    async def _do_send_document(self, account: Account, data: Json) -> Json:
        chat = self._chat(data)
        topic_id, reply_to = self._place(chat, data), answered(chat, data)
        file = data.get("document")
        if not isinstance(file, Upload):
            raise Refused("there is no document in the request")
        if not file.content:
            raise Refused("file must be non-empty")
        caption = data.get("caption", "")
        visible = visible_text(data, "caption", MAX_CAPTION, "message caption is too long") if caption else ""
        kept = {**self.keep_file(file.name, file.content), "file_name": file.name}
        form = {
            "html": "parse_mode" in data,
            "topic_id": topic_id,
            "reply_to": reply_to,
            "rows": rows_of(data),
        }
        what = {"file": file, "kind": "document", "attachment": kept}
        return self._keep(account, chat, text=caption, visible=visible, **form, **what)

    async def _do_edit_message_text(self, account: Account, data: Json) -> Json:
        chat = self._chat(data)
        visible = visible_text(data, "text", MAX_TEXT, "message is too long")
        old = self._own(account, chat, data)
        if old.kind:
            raise Refused("there is no text in the message to edit")
        text, html = data["text"], "parse_mode" in data
        return self._edit(old, replace(old, text=text, visible=visible, html=html, rows=rows_of(data)))

    async def _do_edit_message_reply_markup(self, account: Account, data: Json) -> Json:
        old = self._own(account, self._chat(data), data)
        return self._edit(old, replace(old, rows=rows_of(data)))

    async def _do_delete_message(self, account: Account, data: Json) -> bool:
        chat = self._chat(data)
        old = chat.messages.get(data.get("message_id", 0))
        if old is None or old.deleted:
            raise Refused("message to delete not found")
        if old.token != account.token and chat.kind != "private":
            raise Refused("message can't be deleted")
        chat.messages[old.message_id] = replace(old, deleted=True)
        return True

    async def _do_send_message_draft(self, account: Account, data: Json) -> bool:
        chat = self._chat(data)
        if chat.kind != "private":
            raise Refused("TEXTDRAFT_PEER_INVALID")
        if not data.get("draft_id"):
            raise Refused("invalid draft identifier specified")
        self.drafts[chat.id, data["draft_id"]] = visible_text(data, "text", MAX_TEXT, "message is too long")
        return True

    async def _do_send_chat_action(self, account: Account, data: Json) -> bool:
        self._place(self._chat(data), data)
        if data.get("action") not in set(ChatAction):
            raise Refused("wrong parameter action in request")
        return True

    async def _do_answer_callback_query(self, account: Account, data: Json) -> bool:
        query_id, text = data.get("callback_query_id", ""), data.get("text", "")
        if utf16_length(text) > 200:
            raise Refused("MESSAGE_TOO_LONG")
        if self.clicks.get(query_id) != account.token:
            raise Refused(_TOO_OLD)
        del self.clicks[query_id]
        self.answers[query_id] = text
        return True

    async def _do_set_my_commands(self, account: Account, data: Json) -> bool:
        commands = data.get("commands", [])
        if len(commands) > 100 or not all(
            re.fullmatch("[a-z0-9_]{1,32}", each["command"]) for each in commands
        ):
            raise Refused("BOT_COMMAND_INVALID")
        if not all(1 <= utf16_length(each["description"]) <= 256 for each in commands):
            raise Refused("BOT_COMMAND_DESCRIPTION_INVALID")
        self.commands[account.token, data.get("language_code", "")] = commands
        return True

    async def _do_set_message_reaction(self, account: Account, data: Json) -> bool:
        chat = self._chat(data)
        old = chat.messages.get(data.get("message_id", 0))
        if old is None or old.deleted:
            raise Refused("message to react not found")
        signs = tuple(each.get("emoji", "") for each in data.get("reaction", []))
        if len(signs) > 1 or not set(signs) <= set(ReactionEmoji):
            raise Refused("REACTION_INVALID")
        chat.messages[old.message_id] = replace(old, reactions=signs)
        return True

    async def _do_get_file(self, account: Account, data: Json) -> Json:
        file_id = data.get("file_id", "")
        if file_id not in self.files:
            raise Refused("wrong file_id or the file is temporarily unavailable")
        file = self.files[file_id]
        if len(file.content) > MAX_DOWNLOAD:
            raise Refused("file is too big")
        size = {"file_size": len(file.content), "file_path": file.name}
        return {"file_id": file_id, "file_unique_id": file_id, **size}

    # What the methods share.

    def _chat(self, data: Json) -> Chat:
        chat_id = data.get("chat_id")
        if chat_id in self.chats:
            return self.chats[chat_id]
        if chat_id in self.users:
            raise Refused("bot can't initiate conversation with a user", 403)
        raise Refused("chat not found" if chat_id else "chat_id is empty")

    def _place(self, chat: Chat, data: Json) -> int:
        topic_id = int(data.get("message_thread_id", 0))
        if topic_id and topic_id not in chat.topics:
            raise Refused("message thread not found")
        return topic_id

    def _own(self, account: Account, chat: Chat, data: Json) -> Message:
        old = chat.messages.get(data.get("message_id", 0))
        if old is None or old.deleted:
            raise Refused("message to edit not found")
        if old.token != account.token:
            raise Refused("message can't be edited")
        return old

    def _keep(self, account: Account, chat: Chat, **what: Any) -> Json:
        message = Message(next(self._ids), chat.id, account.token, account.user, **what)
        chat.messages[message.message_id] = message
        for draft in [key for key in self.drafts if key[0] == chat.id]:
            del self.drafts[draft]  # the message takes its place
        return self.shown(message)

    def _edit(self, old: Message, new: Message) -> Json:
        if looks(old) == looks(new):
            raise Refused(_SAME)
        self.chats[old.chat_id].messages[old.message_id] = new = replace(new, edited=old.edited + 1)
        return self.shown(new)


def _dropped(request: web.Request) -> web.Response:
    assert request.transport
    request.transport.abort()
    return web.Response()


def _end_poll(account: Account, why: str) -> int:
    """End a bot's poll; return how many that were."""
    if account.poll is None or account.poll.done():
        return 0
    account.poll.set_result(why)
    return 1


def _allow(account: Account, data: Json) -> None:
    """Change the kinds of updates that a bot takes, which otherwise stay as they were."""
    if "allowed_updates" in data:
        account.allowed = tuple(data["allowed_updates"])


def _from(updates: list[Json], offset: int) -> list[Json]:
    return [update for update in updates if update["update_id"] >= offset]


@asynccontextmanager
async def serving(double: TelegramDouble, port: int = 0) -> AsyncIterator[TelegramDouble]:
    """Serve the API on a port of its own."""
    # Whoever goes away while it polls or hangs must not keep the server from ending.
    runner = web.AppRunner(double.app(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    double.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield double
    finally:
        await double.close()
        await runner.cleanup()
