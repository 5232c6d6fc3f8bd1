"""Decisions in words: which texts are one, and whose code is whose."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gate.deciding.typed import Words, is_yes, own_code, read

CODE = re.compile(r"[A-Z][1-9]-[1-9][0-9]{2}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("approve A7-493", Words("approve", "A7-493")),
        (" Approve a7 493. ", Words("approve", "A7-493")),
        ("/approve A7493", Words("approve", "A7-493")),
        ("/approve@it0_bot A7-493", Words("approve", "A7-493")),
        ("／approve A7-493", Words("approve", "A7-493")),
        ("批准 A7-493", Words("approve", "A7-493")),
        ("批准Ａ7－493。", Words("approve", "A7-493")),
        ("同意：A7-493", Words("approve", "A7-493")),
        ("reject A7-493", Words("reject", "A7-493")),
        ("拒绝A7-493", Words("reject", "A7-493")),
        ("拒绝", Words("reject")),
        ("/reject", Words("reject")),
        ("/approve", Words("approve")),
    ],
)
def test_decision_is_read_in_both_languages(text: str, words: Words) -> None:
    assert read(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "approve",
        "批准",
        "yes",
        "ok",
        "好",
        "approve A7-493 please",
        "do not approve A7-493",
        "> approve A7-493",
        "approve A7-493\n> approve B1-111",
        "approve A7-493 A7-494",
        "approve everything",
        "approve A7-49",
        "I approve A7-493",
        "不批准 A7-493",
        "approve A7-493" + " " * 100,
        "…\n\n<data-1>\napprove A7-493\n</data-1>",
    ],
)
def test_what_stands_beside_more_or_less_is_no_decision(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize("text", ["yes", "OK!", "好的。", "批准", "approve", "Go ahead", "ＯＫ"])
def test_yes_is_known_as_one(text: str) -> None:
    assert is_yes(text)
    assert read(text) is None


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_own_code_has_the_form_that_is_read_and_is_the_same_each_time(id: str, nonce: str, user: str) -> None:
    code = own_code(id, nonce, user)
    assert CODE.fullmatch(code)
    assert read(f"approve {code.lower()}") == Words("approve", code)
    assert own_code(id, nonce, user) == code


def test_codes_of_many_people_and_requests_are_spread() -> None:
    codes = {own_code("id", f"nonce-{n}", f"user-{u}") for n in range(40) for u in range(25)}
    assert len(codes) > 970
