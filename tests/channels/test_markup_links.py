"""Links lead to web addresses only, and show where they lead."""

import pytest
from support.html_judge import html, judged


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("[you](tg://user?id=7)", "you"),
        ("[sh](javascript:alert(1))", "[sh](javascript:alert(1))"),
        ("[mail](mailto:a@b.example)", "mail (mailto:a@b.example)"),
        ("[log](/var/log/syslog)", "log (/var/log/syslog)"),
        ("[odd](https://)", "odd (https://)"),
        ("[bad](http://[)", "bad (http://%5B)"),
    ],
)
def test_only_web_addresses_become_links(markdown: str, expected: str) -> None:
    assert "<a" not in html(markdown)
    assert judged(html(markdown)) == expected


@pytest.mark.parametrize(
    "label",
    [
        "bank.example",
        "https://bank.example/login",
        "www.bank.example",
        "10.0.0.1",
        "a@bank.example",
        "банк.рф",
        "bank\u200b.example",
        "bank\xad.example",
        "ｂａｎｋ．example",
    ],
)
def test_link_whose_text_names_another_place_shows_where_it_leads(label: str) -> None:
    found = html(f"[{label}](https://evil.example/x)")
    assert found.endswith('(<a href="https://evil.example/x">https://evil.example/x</a>)')
    assert judged(found) == f"{label} (https://evil.example/x)"
    assert ">" + label not in found.replace("(<a", "")


@pytest.mark.parametrize("label", ["the docs", "a.example", "www.a.example", "https://a.example/b/c.html"])
def test_link_that_is_honest_is_left_alone(label: str) -> None:
    assert html(f"[{label}](https://a.example/b)") == f'<a href="https://a.example/b">{label}</a>'


@pytest.mark.parametrize(
    ("around", "address"),
    [
        ("{}", "https://it0.example/secret/acme._Ab-_c_"),
        ("see {}.", "http://127.0.0.1:8080/a_b_c?d=*e".replace("*", "")),
        ("**{}**", "https://a.example/x_y_z"),
        ("（{}）", "https://a.example/路径"),
        ("({})", "https://a.example/a_(b)"),
        ("{}, and", "https://a.example/r?u=https://b.example"),
        ("- {}", "https://a.example/__init__.py"),
    ],
)
def test_bare_address_is_a_link_and_loses_no_character(around: str, address: str) -> None:
    found = html(around.format(address))
    assert found.count("<a ") == 1
    assert f">{address}</a>" in found
    assert "<i>" not in found


def test_address_is_shown_as_written_since_its_letters_could_look_like_others() -> None:
    address = "https://xn--80ak6aa92e.com/%E8%B7%AF"
    assert html(f"<{address}>") == f'<a href="{address}">{address}</a>'


def test_bare_address_in_a_links_text_is_only_text() -> None:
    found = html("[go https://a.example/_x_](https://a.example)")
    assert found == '<a href="https://a.example">go https://a.example/_x_</a>'
    assert html("xhttps://a.example ftp://b.example https://").count("<a") == 0
