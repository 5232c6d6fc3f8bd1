"""What ``it0 server import`` does beside a running it0."""

from collections.abc import Callable

from agent.fleet.importing import Importing
from agent.fleet.inventory.found import Listing
from agent.fleet.inventory.plan import Plan, Wishes
from bot.admin.beside import OWNER, at


async def import_servers(
    slug: str, listing: Listing, wishes: Wishes, agrees: Callable[[Plan], bool]
) -> tuple[Plan, bool]:
    """Show the plan to ``agrees``, and take it if that says so; return it, and whether it was taken."""
    async with at(slug) as (app, tenant):
        importing = Importing(app.fleet, app.clock)
        shown = await importing.plan(tenant, OWNER, listing, wishes)
        if not agrees(shown) or not shown.taken:
            return shown, False
        await importing.take(tenant, OWNER, listing, wishes, shown)
        return shown, True
