"""Which engines a process has, and which of them is the default."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from agent.engine import Engine
from agent.engines.claude_api import ClaudeApi, Limits
from agent.engines.direct import Direct
from agent.engines.fallback import WithFallback
from agent.engines.messages_api import MessagesApi
from bot.texts.catalogue import Catalogue
from core.clock import Clock
from core.errors import Refused, SetupError
from core.messages import command_word
from core.settings import Settings

PREFERRED = ("claude_api", "direct")

Pick = Callable[[str | None, str | None, str], str]
"""Takes a conversation's own engine, its tenant's, and the text; returns the engine's name."""


@asynccontextmanager
async def engines_of(
    settings: Settings, texts: Catalogue, clock: Clock, more: Mapping[str, Engine]
) -> AsyncIterator[Mapping[str, Engine]]:
    """Yield the engines that can be used: a model's where there is a key for it.

    more: others by name, which come before ours.
    """
    direct = Direct()
    if settings.anthropic_api_key is None:
        yield {"direct": direct, **more}
        return
    key = settings.anthropic_api_key.get_secret_value()
    base_url = settings.anthropic_base_url.get_secret_value()
    api = MessagesApi(
        key,
        base_url,
        settings.anthropic_model,
        settings.model_max_tokens,
        settings.model_silence_s,
        settings.model_patience_s,
    )
    model = ClaudeApi(
        api,
        Limits(settings.turn_steps, settings.turn_tokens, settings.turn_usd),
        words=lambda sentence: texts(sentence, "en"),
        today=lambda: clock().date().isoformat(),
    )
    try:
        yield {"claude_api": WithFallback(model, direct), "direct": direct, **more}
    finally:
        await api.close()


def names_of(settings: Settings) -> Sequence[str]:
    """Return the names of the engines that ``engines_of`` yields by itself."""
    return PREFERRED if settings.anthropic_api_key is not None else PREFERRED[1:]


def default_of(settings: Settings, engines: Collection[str]) -> str:
    """Return the engine of who has chosen none; raises SetupError when the one that is set is not there."""
    wanted = settings.it0_engine or next(name for name in PREFERRED if name in engines)
    if wanted not in engines:
        raise SetupError("setup.unknown_engine", engine=wanted, engines=", ".join(engines))
    return wanted


def pick_engine(engines: Mapping[str, Engine], default: str) -> Pick:
    """Return the rule by which a turn gets its engine: the conversation's, the tenant's, else ``default``.

    Commands are ``direct``'s, whatever else is set.
    """

    def pick(own: str | None, tenants: str | None, text: str) -> str:
        if command_word(text):
            return "direct"
        wanted = own or tenants or default
        if wanted not in engines:
            raise Refused("turn.engine_gone", engine=wanted, engines=", ".join(engines))
        return wanted

    return pick
