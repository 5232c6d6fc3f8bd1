"""What the console's page alone asks for."""

from bot.api.models.base import View


class Texts(View):
    """The page's sentences by key; places stand in braces."""

    texts: dict[str, str]
