"""What people and programs meet: the console, the API, the commands, the bots on platforms."""

from collections.abc import Mapping

from agent.context import Desk
from agent.keys import ApiKeys
from agent.people import Staff
from bot.api.caller import Callers
from bot.api.resources.people import PeopleDesk
from bot.chat.about import About, Command
from bot.chat.clusters import ClusterCommands
from bot.chat.grants import GrantCommands
from bot.chat.policy import PolicyCommands
from bot.chat.quiet import Quiet
from bot.chat.talks import Talks
from bot.console.auth import Sessions
from bot.console.entrance import Entrance
from bot.console.socket import Sockets
from bot.engines import default_of
from bot.installations import DatabaseInstallations
from bot.texts.chats import Chats, menu
from bot.traces import DatabaseTraces
from bot.wiring.ground import Ground, Hands
from channels.telegram.adapter import Telegram


def telegram_of(ground: Ground, installations: DatabaseInstallations) -> Telegram:
    settings = ground.settings
    return Telegram(
        installations,
        Chats(ground.tenants, ground.texts),
        DatabaseTraces(ground.me, ground.database, ground.tenants),
        settings.telegram_api_url.get_secret_value(),
        settings.url if settings.telegram_webhook else "",
        menu(ground.texts),
        settings.attachment_bytes,
    )


def sessions_of(ground: Ground) -> Sessions:
    settings = ground.settings
    return Sessions(
        ground.database,
        ground.tenants,
        ground.clock,
        link_minutes=settings.login_link_minutes,
        session_hours=settings.session_hours,
        secure=settings.url.startswith("https:"),
    )


def more_commands_of(ground: Ground, desk: Desk, sessions: Sessions, hands: Hands) -> Mapping[str, Command]:
    engines, settings = ground.engines, ground.settings
    about = About(desk, engines.keys(), default_of(settings, engines), sessions, settings.url)
    return {
        **about.commands(),
        **Talks(desk).commands(),
        **ClusterCommands(hands.fleet, hands.gate.probing).commands(),
        **Quiet(desk).commands(),
        **GrantCommands(desk).commands(),
        **PolicyCommands(hands.policies, hands.gate.judging, desk.clock).commands(),
    }


def callers_of(ground: Ground, sessions: Sessions) -> Callers:
    secret = ground.settings.jwt_secret
    return Callers(
        ground.database,
        ground.tenants,
        sessions,
        ground.clock,
        secret.get_secret_value() if secret else None,
        ground.settings.jwt_expires_in,
    )


def people_desk_of(
    ground: Ground, callers: Callers, sessions: Sessions, staff: Staff, keys: ApiKeys, desk: Desk
) -> PeopleDesk:
    return PeopleDesk(
        callers,
        sessions,
        staff,
        keys,
        ground.clock,
        ground.settings.url,
        default_of(ground.settings, ground.engines),
        ground.settings.attachment_bytes,
        desk.changed,
    )


def sockets_of(ground: Ground, sessions: Sessions, entrance: Entrance) -> Sockets:
    return Sockets(
        sessions,
        entrance,
        ground.bus,
        ground.texts,
        ground.me,
        opens_a_minute=ground.settings.websocket_opens_per_minute,
        open_at_once=ground.settings.websockets_per_user,
        messages_a_minute=ground.settings.console_messages_per_minute,
        message_bytes=ground.settings.console_message_bytes,
        file_bytes=ground.settings.attachment_bytes,
        session_check_s=ground.settings.session_check_s,
    )
