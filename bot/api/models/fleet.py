"""Servers and credentials."""

from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from bot.api.models.base import Form, Name, Query, View

Environment = Literal["dev", "staging", "prod"]
ServerRole = Literal["web", "db", "cache", "worker", "gateway"]
CredentialKind = Literal["ssh_key", "ssh_password", "token", "kubeconfig"]


class NewServerForm(Form):
    """A server to be added; names stand for what they name."""

    name: str
    host: str = ""
    port: int = 22
    user: str = ""
    credential: str | None = None
    environment: str = "dev"
    role: str | None = None
    jump: str | None = None
    connection: str = "ssh"
    description: str = ""
    restricted: bool = False
    shell: str = "bash"
    tags: dict[str, str] = Field(default_factory=dict)
    ssh_options: dict[str, Any] = Field(default_factory=dict)
    cluster: str = Field("", description="The cluster that it joins; both are of one environment.")
    read_user: str = Field("", description="A second user, for what only reads.")
    read_credential: str | None = None
    trust: str = Field("", description="Pins the host key if it has this fingerprint, else adds nothing.")


class ServerChange(Form):
    """What becomes other of a server; what is left out stays."""

    host: str = ""
    port: int = 22
    user: str = ""
    credential: str = ""
    environment: str = ""
    role: str | None = None
    jump: str = ""
    description: str = ""
    restricted: bool = False
    shell: str = ""
    tags: dict[str, str] = Field(default_factory=dict)
    ssh_options: dict[str, Any] = Field(default_factory=dict)
    cluster: str = Field("", description="Empty: in none.")
    read_user: str = Field("", description="Empty, with read_credential: no second account.")
    read_credential: str = ""


class Account(View):
    """What an account can do on its server, as it was seen ``at`` a moment."""

    user: str
    is_root: bool
    sudo: Literal["all", "some", "password", "none"]
    may: list[str]
    groups: list[str]
    shell: str
    at: datetime


class Server(View):
    """A server. can: what it0's accounts can do there, in words."""

    id: str
    name: str
    connection: Literal["ssh", "local"]
    host: str
    port: int
    user: str
    environment: Environment
    role: ServerRole | None
    credential: str | None
    jump: str | None
    cluster: str | None
    tags: dict[str, str]
    ssh_options: dict[str, Any]
    shell: Literal["bash", "sh"]
    status: Literal["active", "untrusted", "removed"]
    description: str
    fingerprint: str | None
    restricted: bool
    read_user: str
    read_credential: str | None
    accounts: dict[Literal["main", "read"], Account]
    can: list[str]


class Servers(View):
    """A page of the servers."""

    servers: list[Server]
    next: str | None


class ServerAdded(View):
    """A server that was added. fingerprint: of the key that it shows, which waits for a person."""

    server: Server
    fingerprint: str


class Fingerprint(Form):
    """A host key that a person compared."""

    fingerprint: str


class Shown(View):
    """The fingerprint of a public key; empty where there is none."""

    fingerprint: str


class Checked(View):
    """Whether a server can be reached. fingerprint: of the key that an untrusted one shows.

    can: what it0's accounts can do there, in words.
    """

    ok: bool
    message: str
    fingerprint: str
    can: list[str]


class HardeningQuery(Query):
    """What the script is for."""

    kinds: str = Field("", max_length=100, description="With commas between; empty: everything.")


class Hardening(View):
    """A script for people to read and run; it0 never runs it."""

    script: str
    kinds: list[str] = Field(description="All that it can be for.")


class NewCredential(Form):
    """A secret to be sealed: it goes in and never comes out."""

    name: str
    kind: CredentialKind
    secret: str = Field(repr=False, json_schema_extra={"writeOnly": True})
    expires_at: AwareDatetime | None = None


class NewSecret(Form):
    """The secret that takes the place of a credential's."""

    secret: str = Field(repr=False, json_schema_extra={"writeOnly": True})
    expires_at: AwareDatetime | None = None


class Credential(View):
    """What is known of a credential; never its secret."""

    name: str
    kind: CredentialKind
    fingerprint: str
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None
    revoked: bool


class Credentials(View):
    """A page of the credentials."""

    credentials: list[Credential]
    next: str | None


class Using(View):
    """The servers that used it."""

    servers: list[Name]
