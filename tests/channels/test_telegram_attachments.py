"""What is sent besides text is named."""

from typing import Any

import pytest
from support.telegram_updates import ME, PRIVATE, message, named, taken, update, why

from channels.telegram.arrivals import Attachment, Reason
from channels.telegram.updates import parse
from core.messages import Text

FILE = {"file_id": "f1", "file_size": 2048}


SENT: list[tuple[dict[str, Any], list[Attachment]]] = [
    ({"voice": {**FILE, "duration": 9, "mime_type": "audio/ogg"}}, [
        Attachment("voice", "f1", 2048, mime="audio/ogg", seconds=9)
    ]),
    ({"photo": [{"file_id": "s", "width": 90}, {**FILE, "width": 800}]}, [Attachment("photo", "f1", 2048)]),
    ({"document": {**FILE, "file_name": "a\u202eb"}}, [Attachment("document", "f1", 2048, "a\ufffdb")]),
    ({"sticker": FILE}, [Attachment("sticker", "f1", 2048)]),
    ({"animation": FILE, "document": FILE}, [Attachment("animation", "f1", 2048)]),
    ({"video_note": {"file_id": "f1"}}, [Attachment("video_note", "f1")]),
    ({"location": {"latitude": 1.0}, "venue": {}}, [Attachment("venue")]),
    ({"poll": {"id": "1"}}, [Attachment("poll")]),
    ({"rich_message": {}}, [Attachment("rich_message")]),
]  # fmt: skip  # fmt: skip


@pytest.mark.parametrize(("sent", "expected"), SENT, ids=lambda each: next(iter(each), "") if each else "")
def test_what_was_sent_besides_text_is_named_never_dropped(
    sent: dict[str, Any], expected: list[Attachment]
) -> None:
    arrival = taken(parse(update(**message(None, PRIVATE, **sent)), ME))
    assert list(arrival.attachments) == expected
    assert not arrival.has_words
    assert arrival.attachments[0].note(has_words=True).params["kind"] == expected[0].kind


def test_caption_is_read_with_its_own_entities() -> None:
    caption = "@it0_bot what is this"
    said = message(
        caption=caption, caption_entities=named(caption, "@it0_bot"), photo=[FILE], media_group_id="8"
    )
    arrival = taken(parse(update(**said), ME))
    assert arrival.inbound.body == Text("what is this")
    assert (arrival.attachments[0].kind, arrival.album) == ("photo", "8")
    assert why(parse(update(**message(photo=[FILE])), ME)) is Reason.NOT_ADDRESSED
