"""Credentials: secrets go in and never come out."""

from collections.abc import Sequence

from agent.fleet.credentials import Credentials
from bot.api.caller import Caller
from bot.api.endpoints import Endpoint, endpoint
from bot.api.models import fleet as models
from bot.api.models.base import Page
from bot.api.paging import cut
from core.store import fleet
from core.work import Role


class CredentialDesk:
    """The endpoints."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def endpoints(self) -> Sequence[Endpoint]:
        """Return them."""
        return [
            endpoint("GET", "/credentials", self.list_credentials),
            endpoint("POST", "/credentials", self.add_credential, 201),
            endpoint("POST", "/credentials/{name}/rotate", self.rotate_credential),
            endpoint("DELETE", "/credentials/{name}", self.revoke_credential),
        ]

    async def list_credentials(self, caller: Caller, query: Page) -> models.Credentials:
        """List the credentials by name, never their secrets (operators)."""
        caller.needs(Role.OPERATOR)
        async with caller.tenant.reading() as db:
            rows = await db.all(fleet.CREDENTIALS)
        page, after = cut(rows, query, lambda row: f"{row['name']}!{row['id']}")
        shown = ("name", "kind", "fingerprint", "created_at", "used_at", "expires_at")
        found = [
            models.Credential(**{key: row[key] for key in shown}, revoked=row["revoked_at"] is not None)
            for row in page
        ]
        return models.Credentials(credentials=found, next=after)

    async def add_credential(self, caller: Caller, form: models.NewCredential) -> models.Shown:
        """Seal a secret (admins); servers that used a revoked one of this name use it from now on."""
        shown = await self._credentials.add(
            caller.tenant, caller.user, form.name, form.kind, form.secret.encode(), form.expires_at
        )
        return models.Shown(fingerprint=shown)

    async def rotate_credential(self, caller: Caller, name: str, form: models.NewSecret) -> models.Shown:
        """Put another secret in a credential's place (admins); its servers use the new one from now on."""
        shown = await self._credentials.rotate(
            caller.tenant, caller.user, name, form.secret.encode(), form.expires_at
        )
        return models.Shown(fingerprint=shown)

    async def revoke_credential(self, caller: Caller, name: str) -> models.Using:
        """Destroy a secret (admins); answers with the servers that used it."""
        return models.Using(servers=list(await self._credentials.revoke(caller.tenant, caller.user, name)))
