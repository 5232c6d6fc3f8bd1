"""Secrets that nobody has stored are taken out of what servers print, by their form or their name."""

from pathlib import Path

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.place import at_work
from support.store import Store

from agent.redaction.recognised import kinds
from agent.redaction.redact import HIDDEN, Redact, StreamRedact
from agent.redaction.views import COLOURS

NEWLINE = "\n"
B64 = "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJ"
HEX = "9f86d081884c7d659a2feaa0c55ad015"
KEY = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_private_key("pkcs1-pem").decode()
SAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "age_key": (("# key: {}", "AGE-SECRET-KEY-1" + "Q" * 58),),
    "wireguard_key": (("PrivateKey = {}", B64 + "abc="),),
    "aws_key_id": (("aws_access_key_id={}", "AKIAIOSFODNN7EXAMPLE"),),
    "aws_secret_key": (('"SecretAccessKey": "{}",', "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),),
    "google_key": (("key={}", "AIza" + "b1" * 17 + "c"), ("token {}", "ya29.a0AfH6SMBx1234567890abcdef")),
    "azure_key": (
        ("DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={};", B64 + B64 + "12345A=="),
        ("https://shop.blob.core.windows.net/c?sv=2024&sig={}", B64 + "abc%3D"),
    ),
    "digitalocean_key": (("DIGITALOCEAN: {}", "dop_v1_" + HEX * 2),),
    "alibaba_key": (("id: {}", "LTAI5tQwErTyUiOpAsDfGh12"),),
    "it0_key": (("authorization uses {}", "it0_0123abcd_" + "a1" * 21),),
    "github_token": (
        ("https://{}@github.com/shop/app.git", "ghp_" + "a1" * 18),
        ("{}", "github_pat_" + "a1" * 20),
    ),
    "gitlab_token": (("remote uses {}", "glpat-" + "x9" * 10),),
    "second_factor": (("otpauth://totp/it0:ann?secret={}&issuer=it0", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"),),
    "slack_token": (("slack: {}", "xoxb-123456789012-abcdef"), ("{}", "xapp-1-A111-222-abc")),
    "chat_webhook": (
        (
            "POST https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={}",
            "693a91f6-7abc-4bc4-97a0-0ec2sifa5aaa".replace("sifa", "51fa"),
        ),
        ("https://oapi.dingtalk.com/robot/send?access_token={}", HEX * 2),
    ),
    "telegram_token": (("bot {} started", "1234567890:AAH" + "x1" * 16),),
    "model_key": (("model {}", "sk-ant-api03-" + "x1" * 30), ("hub {}", "hf_" + "aB" * 17)),
    "payment_key": (("stripe {}", "sk_live_" + "a1" * 12),),
    "mail_key": (("{}", "SG." + "a1" * 11 + "." + "b2" * 21 + "c"),),
    "twilio_key": (("TWILIO_AUTH_TOKEN={}", HEX),),
    "package_token": (
        ("//registry.npmjs.org/:_authToken={}", "npm_" + "a1" * 18),
        ("{}", "dckr_pat_" + "a1" * 12),
    ),
    "vault_token": (("VAULT {}", "hvs." + "a1" * 12),),
    "monitoring_key": (("grafana {}", "glsa_" + "a1" * 16 + "_0123abcd"),),
    "jwt": (("cookie {} ok", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"),),
    "bearer": (("Authorization: Bearer {}", "8f3c1d2e4b5a69788796a5b4c3d2e1f0"),),
    "basic_header": (("Authorization: Basic {}", "YWRtaW46aHVudGVyMg=="),),
    "registry_login": (('"registry.shop": {{"auth": "{}"}}', "YWRtaW46aHVudGVyMg=="),),
    "kubeconfig": (("    client-key-data: {}", B64 * 50),),
    "password_hash": (
        ("root:{}:19000:0:99999:7:::", "$6$rounds=5000$abcdefgh$" + "a" * 40),
        ("rolpassword | {}", "SCRAM-SHA-256$4096:" + B64[:22] + "==$" + B64 + ":" + B64),
        ("root:{}:19000:", "$gy$j9T$abcdefghijkl$" + "a1" * 20),
        ("admin:{}", "{SHA}" + B64[:27] + "="),
        ("rolpassword | {}", "md5" + HEX),
        ("auth_user.password {}", "pbkdf2_sha256$260000$abcdefgh1$" + B64 + "abc="),
    ),
    "url_password": (("DATABASE_URL=postgres://app:{}@db-1/app", "s3cr3t"),),
    "client_password": (("mysql -u root -p{} -e 'select 1'", "Secret1"),),
    "curl_user": (("curl -s -u admin:{} https://example.com", "hunter22"),),
    "sshpass": (("sshpass -p {} ssh root@db-1", "hunter22"),),
    "redis_password": (("redis-cli -h cache-1 -a {} info", "foobar99x"),),
    "netrc": (("machine example.com login ann password {}", "hunter2"),),
    "pgpass": (("db-1:5432:app:ann:{}", "hunter2"),),
    "saas_token": (
        ("jira {}", "ATATT3xFfGF0" + "a1" * 20),
        ("kubeadm join 10.0.0.1:6443 --token {} --discovery-token-ca-cert-hash x", "abcdef.0123456789abcdef"),
        ("docker swarm join --token {} h:2377", "SWMTKN-1-" + "a1" * 25 + "-" + "b2" * 12 + "c"),
        ("{}", "K10" + HEX * 2 + "::server:" + HEX),
        ("linear {}", "lin_api_" + "aB3" * 13),
    ),
    "other_header": (
        ("> Authorization: token {}", HEX + "01234567"),
        ("X-Vault-Token: {}", "s.abcdefghijklmnopqrstuvwx"),
    ),
    "session_cookie": (
        ("< Set-Cookie: JSESSIONID={}; Path=/; HttpOnly", HEX),
        ("Cookie: lang=en; connect.sid={}; a=b", "s%3A" + HEX + ".qrstuv"),
    ),
    "sql_password": (
        ("ALTER USER app IDENTIFIED BY '{}';", "hunter22"),
        ("CREATE USER a IDENTIFIED WITH mysql_native_password BY '{}'", "hunter22"),
        ("SET PASSWORD FOR a = PASSWORD('{}')", "hunter22"),
    ),
    "login_password": (
        ("docker login -u ci -p {} registry.shop", "hunter22"),
        ("ldapsearch -x -D cn=a -w {} -b dc=b", "hunter22"),
        ("smbclient -U ann%{} //nas/x", "hunter22"),
        ("openssl rsa -in k -passin pass:{}", "hunter22"),
        ("rocommunity {} 10.0.0.0/8", "hunter22"),
        ("sh -c echo root:{} | chpasswd", "hunter22"),
    ),
    "other_names": (
        ("DB_PASS={}", "Sup3rS3cret"),
        ("ansible_become_pass: {}", "hunter22"),
        ('psk="{}"', "hunter2wifi"),
        ("ENCRYPTION_KEY={}", HEX),
        ("secret_key_base: {}", HEX),
        ("APP_KEY={}", "base64:" + B64 + "abc="),
    ),
    "named": (
        ("DB_PASSWORD={}", "hunter"),
        ("password: {}", "hunter2!"),
        ("密码：{}", "Qwer1234"),
        ("requirepass {}", "foobar99x"),
        ('{{"api_key": "{}"}}', "k9xb23q5"),
        ("environment: SECRET_KEY={} DEBUG=1", "0f8e7d6c5b4a"),
    ),
}
LINES = [(line, secret) for each in SAMPLES.values() for line, secret in each]
REDACT = Redact([])
ORDINARY = (Path(__file__).parents[1] / "data" / "ordinary_lines.txt").read_text().splitlines()
PRINTED = """\
Nov 21 12:30:00 web-1 sshd[123]: Accepted password for deploy from 10.0.0.5 port 51234 ssh2
Nov 21 12:30:00 web-1 sshd[123]: Failed password for invalid user admin from 203.0.113.7 port 22 ssh2
Nov 21 12:30:00 web-1 sudo: pam_unix(sudo:session): session opened for user root(uid=0) by ann(uid=1000)
FATAL:  password authentication failed for user "app"
Filesystem      Size  Used Avail Use% Mounted on
/dev/sda1        40G   12G   26G  32% /
default   app-token-x7k2p   kubernetes.io/service-account-token   3   12d
sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
commit 3f786850e387550fdab836ed7e6dc881de23001b
tcp   LISTEN 0  511  0.0.0.0:443  0.0.0.0:*  users:(("nginx",pid=812,fd=6))
Environment=LANG=C.UTF-8 PATH=/usr/bin TOKEN_TTL=3600 PASSWORD_FILE=/run/secrets/db
uid 550e8400-e29b-41d4-a716-446655440000 pod web-7d9f8c6b5-abcde node worker-2
location / { proxy_pass http://10.0.0.1:8080; proxy_pass_header X-App1; }
test_login ... pass: 12, fail: 0; PASS: tests/unit-1.2
Cookie: lang=en; theme=dark
md5sum d41d8cd98f00b204e9800998ecf8427e  /srv/a
docker login succeeded, docker run -p 8080:80 shop
partition_key=orders-2026-11 sort_key: 20261121123000 session_key_length=32
Set-Cookie is not set; authorization: none
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5a1bQnJr0l0dQ5tq8w8g8Zb0Hc4mJ9cQW1o2xq ann@laptop
-----BEGIN CERTIFICATE-----
MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ
-----END CERTIFICATE-----""".splitlines()


def test_every_kind_has_its_samples() -> None:
    assert set(SAMPLES) == {*kinds(), "named"}
    assert len(SAMPLES) >= 22


@pytest.mark.parametrize(("line", "secret"), LINES)
def test_a_secret_of_every_kind_is_hidden_and_what_stands_around_it_is_not(line: str, secret: str) -> None:
    text = f"before\n{line.format(secret)}\nafter"
    assert secret in text
    shown = REDACT(text)
    assert HIDDEN in shown
    assert secret not in shown
    assert secret[: len(secret) // 2 + 3] not in shown
    assert shown.startswith("before\n")
    assert shown.endswith("\nafter")


def test_what_servers_print_every_day_stays_as_it_is() -> None:
    lines = [line for line in [*ORDINARY, *PRINTED] if line]
    assert [line for line in lines if REDACT(line) != line] == []
    assert REDACT("\n".join(PRINTED)) == "\n".join(PRINTED)


@given(st.sampled_from(LINES), st.lists(st.integers(0, 400), max_size=8))
def test_a_secret_is_hidden_wherever_a_stream_is_cut(sample: tuple[str, str], cuts: list[int]) -> None:
    line, secret = sample
    text = f"before it\n{line.format(secret)}\nafter it\n" * 2
    stream = StreamRedact(REDACT)
    ends = sorted(cut % len(text) for cut in cuts)
    pieces = [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]
    shown = "".join([*map(stream.feed, pieces), stream.end()])
    assert secret not in shown
    assert shown == REDACT(text)


@pytest.mark.parametrize(("line", "secret"), LINES)
def test_colours_hide_no_secret(line: str, secret: str) -> None:
    cut = len(secret) // 2
    coloured = f"\x1b[1;31m{secret[:cut]}\x1b[0m\x1b[32m{secret[cut:]}\x1b[0m"
    shown = REDACT(line.format(coloured))
    assert HIDDEN in shown
    assert secret not in COLOURS.sub(b"", shown.encode()).decode()


ARMOURED = {
    "as it is": KEY,
    "indented": KEY.replace("\n", "\n      "),
    "with CRLF": KEY.replace("\n", "\r\n"),
    "within JSON": KEY.replace("\n", "\\n"),
    "without its end": KEY[: KEY.index("-----END")],
}


@pytest.mark.parametrize("key", ARMOURED.values(), ids=ARMOURED)
@pytest.mark.parametrize("size", [1, 7, 100, 4096])
def test_a_private_key_is_hidden_in_whatever_pieces_it_comes(key: str, size: int) -> None:
    text = f"first line\n{key}\nlast line\n"
    stream = StreamRedact(REDACT)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    shown = "".join([*map(stream.feed, pieces), stream.end()])
    for whole in (shown, REDACT(text)):
        assert whole.startswith("first line\n")
        assert whole.endswith("last line\n")
        assert not [line for line in KEY.splitlines()[1:-1] if line in whole]


def test_a_private_key_without_its_beginning_is_hidden_once_its_end_is_there() -> None:
    shown = REDACT(f"first line\n{KEY[KEY.index(NEWLINE) + 1 :]}\nlast line\n")
    assert shown.replace("\n", " ") == f"first line {HIDDEN}  last line "


@pytest.mark.parametrize("size", [1, 65, 4096])
def test_a_private_key_without_its_beginning_is_not_shown_while_it_comes(size: int) -> None:
    text = f"first line\n{KEY[KEY.index(NEWLINE) + 1 :]}\nlast line\n"
    stream = StreamRedact(REDACT)
    shown = (
        "".join(map(stream.feed, (text[at : at + size] for at in range(0, len(text), size)))) + stream.end()
    )
    assert not [line for line in KEY.splitlines()[1:-1] if line in shown]
    assert shown == REDACT(text)


def test_lines_that_are_no_keys_are_shown_once_that_is_known_and_never_held_without_end() -> None:
    stream, line = StreamRedact(REDACT), KEY.splitlines()[1] + "\n"
    assert stream.feed(line * 3) == ""
    assert stream.feed("all done\n") == line * 3 + "all done\n"
    assert len(stream.feed(line * 1_000)) > 1_000 * len(line) - 20_000
    checksums = ("0123456789abcdef" * 4 + "\n") * 200
    assert len(stream.feed(f"all done\n{checksums}")) > len(checksums)


async def test_what_a_command_prints_is_shown_and_kept_without_it_and_the_command_stays(store: Store) -> None:
    async with at_work(store) as place:
        command = "journalctl -u app -n 3 --no-pager"
        place.shell.on(
            "journalctl.*", stdout="user=app\nDB_PASSWORD=hunter2x\nurl=postgres://a:s3cr3t9@db/x\n"
        )
        asked = await place.send(f"/run web {command}")
        await place.replies(asked)
        kept = str([dict(row) for row in await place.events(asked)])
        assert command in kept
        assert "user=app" in kept
        stored = await place.store.as_owner(f"SELECT * FROM {place.tenant.schema}.run_target")
        for found in (kept, str([dict(row) for row in stored])):
            assert "hunter2x" not in found
            assert "s3cr3t9" not in found
