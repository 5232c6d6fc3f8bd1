"""Secrets that nobody has stored are recognised by their form, and ordinary talk is not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.counting import growth

from agent.redaction.pasted import kinds_in

SECRETS = {
    "private_key": (
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA",
        "use this: -----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----",
        "PuTTY-User-Key-File-3: ssh-ed25519",
    ),
    "cloud_key": (
        "AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AIza" + "b" * 35,
    ),
    "token": (
        "it0_0123abcd_" + "a1" * 21,
        "otpauth://totp/it0%20acme:ann?secret=TL3OLCCPSZNNZTALYUM77ZBLOKL5VDYS&issuer=it0%20acme",
        "ghp_" + "a1" * 18,
        "xoxb-123456789012-abcdef",
        "sk-ant-api03-" + "x" * 30,
        "sk-proj-" + "abc123" * 5,
        "1234567890:" + "A" * 35,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "Authorization: Bearer abcdef0123456789abcdef",
    ),
    "password": (
        "postgres://app:s3cr3t@db-1/app",
        "DB_PASSWORD=hunter",
        "password: hunter2!",
        '{"api_key": "k9xb23q5"}',
        "密码：Qwer1234",
        "密码是Qwer1234",
        "the password is Tr0ub4dor&3",
        "/run web mysql -u root -pSecret1 -e 'select 1'",
        "curl -u admin:hunter22 https://example.com",
        "requirepass foobar99x",
        "root:$6$rounds=5000$abcdefgh$" + "a" * 40,
    ),
}
ORDINARY_FILE = Path(__file__).parents[1] / "data" / "ordinary_lines.txt"
ORDINARY = """\
password: please reset it
is the token expired? since 12:30 nothing works
change the password of alice on web-1
/run web-1 systemctl restart nginx
/run web-1 grep -n password= /etc/app.conf
mysql -u root -p$PASS -e 'select 1'
curl -u admin:$TOKEN https://example.com
password=<your password>
sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
check https://example.com:8443/health
git@github.com:example/app.git
postgres://db-1:5432/app
2026-11-21T12:30:00 web-1 nginx[123]: upstream timed out (110)
kubectl get secret app-token -n prod
Bearer authentication is failing with 401
redis requirepass is not set
uid=1000(deploy) gid=1000(deploy)
密码是什么？如何重置密码？
重启 web-1 的 nginx
secret key rotation takes a while""".splitlines()
LINES = [line for line in ORDINARY_FILE.read_text().splitlines() if line and not line.startswith("# ")]


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in SECRETS.items() for text in texts]
)
def test_a_secret_is_recognised_by_its_form(kind: str, text: str) -> None:
    assert kind in kinds_in(text)
    assert kind in kinds_in(f"here it is\n{text}\nplease use it")


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_talk_is_no_secret(text: str) -> None:
    assert kinds_in(text) == ()


def test_what_operators_write_every_day_is_no_secret() -> None:
    assert len(LINES) > 200
    assert [line for line in LINES if kinds_in(line)] == []


@pytest.mark.parametrize(
    "line", ["{}", "/run web {}", "env {} ./start.sh", "please set {} for me", "export {}"]
)
@pytest.mark.parametrize(
    "pasted",
    [
        "TOKEN=9fK2mX7qLp",
        "API_TOKEN=hunter2hunter",
        "DB_PASSWORD=hunter",
        "password=correct-horse-battery",
        "PASSWORD='Summer2026'",
        "secret_key=0f8e7d6c5b4a",
        "token=550e8400-e29b-41d4-a716-446655440000",
        "pwd=12345678",
        "ACCESS_KEY=qwertyuiop",
        "password=Summer(2026)x",
        "password=abc.def.9ghi",
        "password=correct_horse_battery",
    ],
)
def test_what_is_given_a_name_is_found_wherever_it_stands(line: str, pasted: str) -> None:
    assert kinds_in(line.format(pasted)) == ("password",)


@given(
    st.sampled_from(["password=", "DB_PASSWORD=", "password: ", "the password is ", "密码："]),
    st.from_regex(r"[A-Z][a-z]{3,10}[0-9]{2,4}[!#%+][a-z]{0,5}", fullmatch=True),
)
def test_a_password_as_people_make_them_is_found(name: str, value: str) -> None:
    assert "password" in kinds_in(f"/run db {name}{value} x")


@given(
    st.sampled_from(["TOKEN", "DB_PASSWORD", "api_key", "secret", "MYSQL_PWD"]),
    st.one_of(
        st.from_regex(r"\$\{?[A-Z_]{1,12}\}?", fullmatch=True),
        st.from_regex(r"<[a-z ]{1,20}>", fullmatch=True),
        st.from_regex(r"x{3,12}|X{3,12}|\*{3,12}|\.{3,12}", fullmatch=True),
        st.from_regex(r"/[a-z/]{1,20}", fullmatch=True),
        st.from_regex(r"(your|my)[-_](token|password|secret)", fullmatch=True),
        st.from_regex(r"[a-z0-9]{0,5}", fullmatch=True),
    ),
)
def test_a_place_for_a_secret_is_none(name: str, value: str) -> None:
    assert kinds_in(f"/run web {name}={value} ./start.sh") == ()


@pytest.mark.parametrize(
    "unit", ["a", " ", "\\", "eyJ-", "a://", "password ", "mysql ", "curl -u ", "sk-", ":", "eyJaaaaaaaaaa."]
)
def test_time_grows_with_the_length_of_a_text_only(unit: str) -> None:
    assert growth(kinds_in, (unit * 50_000)[:50_000], (unit * 200_000)[:200_000]) < 10
