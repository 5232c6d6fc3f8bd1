"""Lists that are read whole are given out in pages."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from bot.api.models.base import Page

Item = TypeVar("Item")


def cut(
    items: Iterable[Item], query: Page, key: Callable[[Item], str], *, newest_first: bool = False
) -> tuple[list[Item], str | None]:
    """Return the page that ``query`` asks for, and the cursor of the one after it, None at the end.

    key: in whose order they stand, unique: it is the cursor, so rows may come and go between pages.
    newest_first: in the contrary order.
    """
    left = [
        each
        for each in sorted(items, key=key, reverse=newest_first)
        if not query.cursor or (key(each) < query.cursor if newest_first else key(each) > query.cursor)
    ]
    page = left[: query.limit]
    return page, key(page[-1]) if len(left) > query.limit else None
