"""A kubeconfig is read and checked when it is stored, and of what is refused nothing is said again."""

import base64
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.shell import ScriptedShell
from hypothesis import given
from hypothesis import strategies as st
from support.kube_authority import Authority
from support.kube_double import ADMIN, KubeDouble
from support.store import Store, actions, add_user

from agent.clusters.kube.kubeconfig import read_kubeconfig
from agent.clusters.kube.tls import context_of
from agent.fleet.servers import Fleet
from agent.redaction.redactions import Redactions
from bot.texts.catalogue import load_catalogue
from core.errors import BadInput

OTHER = Authority("another").leaf("nobody")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> KubeDouble:
    """Return an API that is not running, for its kubeconfigs."""
    found = KubeDouble(tmp_path_factory.mktemp("api"))
    found.port = 6443
    return found


def data(pem: bytes) -> str:
    """Return PEM as a kubeconfig holds it."""
    return base64.b64encode(pem).decode()


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "exec": ("plugin", {"user": {"exec": {"command": "aws", "args": ["s3cret-arg"]}}}),
    "auth-provider": ("plugin", {"user": {"auth-provider": {"name": "gcp"}}}),
    "tokenFile": ("file", {"user": {"tokenFile": "/s3cret-arg"}}),
    "client-certificate": ("file", {"user": {"client-certificate": "/s3cret-arg"}}),
    "client-key": ("file", {"user": {"client-key": "/s3cret-arg"}}),
    "certificate-authority": ("file", {"cluster": {"certificate-authority": "/s3cret-arg"}}),
    "insecure": ("insecure", {"cluster": {"insecure-skip-tls-verify": True}}),
    "proxy": ("proxy", {"cluster": {"proxy-url": "http://s3cret-arg"}}),
    "http": ("not_https", {"cluster": {"server": "http://s3cret-arg"}}),
    "no server": ("not_https", {"cluster": {"server": None}}),
    "password in the address": ("not_https", {"cluster": {"server": "https://u:s3cret-arg@h"}}),
    "bad port": ("not_https", {"cluster": {"server": "https://h:s3cret-arg"}}),
    "no authority": ("no_ca", {"cluster": {"certificate-authority-data": None}}),
    "broken authority": ("bad_data", {"cluster": {"certificate-authority-data": data(b"s3cret-arg")}}),
    "as": ("impersonates", {"user": {"as": "s3cret-arg"}}),
    "as-groups": ("impersonates", {"user": {"as-groups": ["system:masters"]}}),
    "password": ("password", {"user": {"username": "u", "password": "s3cret-arg"}}),
    "no login": ("no_login", {"user": {"token": None}}),
    "key alone": ("no_login", {"user": {"token": None, "client-key-data": data(OTHER[1])}}),
    "token of two lines": ("bad_data", {"user": {"token": "s3cret-arg\nX-Header: a"}}),
    "token that is a list": ("bad_data", {"user": {"token": ["s3cret-arg"]}}),
    "no base64": ("bad_data", {"user": {"client-key-data": "s3cret-arg!"}}),
    "broken key": (
        "bad_data",
        {"user": {"client-certificate-data": data(OTHER[0]), "client-key-data": data(b"s3cret-arg")}},
    ),
    "another's key": (
        "other_key",
        {
            "user": {
                "client-certificate-data": data(Authority("third").leaf("x")[0]),
                "client-key-data": data(OTHER[1]),
            }
        },
    ),
}


@pytest.mark.parametrize(("key", "fields"), REFUSED.values(), ids=REFUSED)
def test_what_leads_elsewhere_or_opens_nothing_is_refused_in_both_languages(
    api: KubeDouble, key: str, fields: dict[str, Any]
) -> None:
    with pytest.raises(BadInput) as caught:
        read_kubeconfig(api.kubeconfig(**fields))
    assert caught.value.say.key == f"kubeconfig.{key}"
    told = [load_catalogue()(caught.value.say, language) for language in ("en", "zh")]
    chain = [caught.value.__cause__, caught.value.__suppress_context__ and None]
    assert not any("s3cret-arg" in text for text in (*told, repr(caught.value), repr(chain)))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda whole: whole.pop("current-context"), "no_context"),
        (lambda whole: whole.update({"current-context": "other"}), "no_such"),
        (lambda whole: whole.pop("clusters"), "no_such"),
        (lambda whole: whole.update(users=[{"name": "v", "user": {}}]), "no_such"),
        (lambda whole: whole["contexts"][0]["context"].update(namespace="a/b"), "bad_data"),
        (lambda whole: whole["users"][0].update(user="x"), "not_read"),
    ],
)
def test_current_context_has_to_be_whole(api: KubeDouble, change: Any, key: str) -> None:
    whole = yaml.safe_load(api.kubeconfig())
    change(whole)
    with pytest.raises(BadInput) as caught:
        read_kubeconfig(yaml.safe_dump(whole).encode())
    assert caught.value.say.key == f"kubeconfig.{key}"


@given(st.binary(max_size=200) | st.text("{}[]:-& *!a\n\"'#", max_size=60).map(str.encode))
def test_whatever_is_no_kubeconfig_is_refused_and_raises_nothing_else(given_bytes: bytes) -> None:
    with pytest.raises(BadInput):
        read_kubeconfig(given_bytes)


def test_only_the_current_context_is_kept_and_means_the_same(api: KubeDouble) -> None:
    whole = yaml.safe_load(api.kubeconfig())
    whole["users"].append({"name": "other", "user": {"token": "another-ones-token"}})
    read = read_kubeconfig(yaml.safe_dump(whole).encode())
    sealed = read.sealed()
    assert (b"another-ones-token" in sealed, ADMIN in repr(read)) == (False, False)
    assert read_kubeconfig(sealed) == read


def test_clients_key_is_loaded_from_memory_and_no_file_of_it_is_left(
    api: KubeDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = set(os.listdir("/proc/self/fd"))
    context = context_of(read_kubeconfig(api.with_certificate()))
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert [len(each) for each in (context.get_ca_certs(), list(tmp_path.iterdir()))] == [1, 0]
    assert set(os.listdir("/proc/self/fd")) <= before


async def test_stored_it_shows_its_kind_and_a_fingerprint_and_its_token_is_redacted(
    store: Store, api: KubeDouble
) -> None:
    tenant = await store.first()
    ann = await add_user(tenant, store.clock, "ann")
    credentials = Fleet(ScriptedShell(), store.clock).credentials
    shown = await credentials.add(tenant, ann, "kc", "kubeconfig", api.kubeconfig())
    same = await credentials.rotate(tenant, ann, "kc", api.kubeconfig("another-token-of-it"))
    assert (shown.startswith("SHA256:"), same) == (True, shown)
    row = (await store.as_owner(f"SELECT * FROM {tenant.schema}.credential ORDER BY created_at"))[-1]
    assert (row["key_type"], row["server"]) == ("token", api.url)
    redact = await Redactions(credentials).of(tenant)
    assert "another-token-of-it" not in redact("Authorization: Bearer another-token-of-it")
    assert redact("apiVersion: v1\nkind: Config\n") == "apiVersion: v1\nkind: Config\n"
    assert (await actions(tenant))[-2:] == ["credential.add", "credential.add"]
    written = await store.as_owner(f"SELECT detail::text AS detail FROM {tenant.schema}.audit")
    assert not any("token-of-it" in each["detail"] or ADMIN in each["detail"] for each in written)


def test_mappings_that_multiply_are_refused_and_not_taken_in() -> None:
    lines = [f"a{n}: &a{n} {{<<: [{','.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 30)]
    with pytest.raises(BadInput) as caught:
        read_kubeconfig("\n".join(["a0: &a0 {k: v}", *lines]).encode())
    assert caught.value.say.key == "kubeconfig.not_read"


@pytest.mark.parametrize("sign", ["[", "{a: ", "- ", "? ", "!x [", "&a ["])
def test_nesting_without_end_is_refused(sign: str) -> None:
    with pytest.raises(BadInput):
        read_kubeconfig((sign * (60_000 // len(sign))).encode())
