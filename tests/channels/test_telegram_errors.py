"""Every answer of the API says what to do."""

import pytest

from channels.telegram.errors import Outcome, classify

BAD = "Bad Request: "


ANSWERS: list[tuple[int, str, Outcome]] = [
    (200, "", Outcome.DONE),
    (400, BAD + "message is not modified: specified new message content and reply markup are", Outcome.DONE),
    (400, BAD + "query is too old and response timeout expired or query ID is invalid", Outcome.DONE),
    (400, "Message is not modified", Outcome.DONE),
    (400, BAD + 'can\'t parse entities: Unsupported start tag "x" at byte offset 3', Outcome.PLAIN),
    (400, BAD + "ENTITIES_TOO_LONG", Outcome.PLAIN),
    (400, BAD + "message to edit not found", Outcome.RESEND),
    (400, BAD + "message can't be edited", Outcome.RESEND),
    (400, BAD + "TOPIC_CLOSED", Outcome.CLOSED),
    (400, BAD + "message thread not found", Outcome.CLOSED),
    (400, BAD + "chat not found", Outcome.UNREACHABLE),
    (400, BAD + "not enough rights to send text messages to the chat", Outcome.UNREACHABLE),
    (403, "Forbidden: bot was blocked by the user", Outcome.UNREACHABLE),
    (403, "Forbidden: bot was kicked from the supergroup chat", Outcome.UNREACHABLE),
    (403, "Forbidden: bot can't initiate conversation with a user", Outcome.UNREACHABLE),
    (401, "Unauthorized", Outcome.BAD_TOKEN),
    (404, "Not Found", Outcome.BAD_TOKEN),
    (409, "Conflict: terminated by other getUpdates request", Outcome.CONFLICT),
    (409, "Conflict: can't use getUpdates method while webhook is active", Outcome.CONFLICT),
    (500, "Internal Server Error", Outcome.LATER),
    (502, "Bad Gateway", Outcome.LATER),
    (0, "", Outcome.LATER),
    (400, BAD + "message text is empty", Outcome.REFUSED),
    (400, BAD + "BUTTON_DATA_INVALID", Outcome.REFUSED),
]


@pytest.mark.parametrize(("code", "description", "outcome"), ANSWERS)
def test_every_answer_of_the_api_says_what_to_do(code: int, description: str, outcome: Outcome) -> None:
    result = classify(code, description, {})
    assert (result.outcome, result.reason) == (outcome, description)


def test_flood_says_how_long_to_wait() -> None:
    told = classify(429, "Too Many Requests: retry after 35", {"retry_after": 40})
    assert (told.outcome, told.retry_after_s) == (Outcome.WAIT, 40.0)
    assert classify(429, "Too Many Requests: retry after 35").retry_after_s == 35.0
    assert classify(429).retry_after_s == 1.0
    assert classify(429, "", {"retry_after": 0}).retry_after_s == 1.0


def test_migrated_chat_says_its_new_id() -> None:
    moved = classify(
        400, "Bad Request: group chat was upgraded to a supergroup chat", {"migrate_to_chat_id": -100123}
    )
    assert (moved.outcome, moved.chat_id) == (Outcome.MIGRATED, -100123)
