"""What the console's page alone asks for: its words."""

from collections.abc import Sequence

from bot.api.caller import Caller
from bot.api.endpoints import Endpoint, endpoint
from bot.api.models.page import Texts
from bot.texts.catalogue import Catalogue
from core.errors import NotFound
from core.texts import LANGUAGES, as_language

SHOWN = ("console.", "level.", "role.", "status.", "environment.")
"""How the keys of the page's sentences begin."""


class PageDesk:
    """The endpoints."""

    def __init__(self, texts: Catalogue) -> None:
        self._texts = texts

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        return [endpoint("GET", "/texts/{language}", self.show_texts)]

    async def show_texts(self, caller: Caller, language: str) -> Texts:
        """Show the console's sentences in a language."""
        if language not in LANGUAGES:
            raise NotFound
        return Texts(texts=self._texts.starting_with(SHOWN, as_language(language)))
