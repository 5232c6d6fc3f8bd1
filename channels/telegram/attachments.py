"""What a message carries besides text."""

from collections.abc import Iterator

from channels.markup.characters import clean
from channels.telegram.arrivals import Attachment
from channels.telegram.places import Json

_FILES = ("animation", "document", "voice", "audio", "video", "video_note", "sticker")
_OTHERS = (
    "location",
    "venue",
    "contact",
    "poll",
    "dice",
    "story",
    "paid_media",
    "checklist",
    "game",
    "rich_message",
)


def attachments_of(message: Json) -> Iterator[Attachment]:
    """Yield what a message carries besides text."""
    if photos := message.get("photo"):
        yield _attachment("photo", max(photos, key=lambda each: each.get("width", 0)))
    for kind in _FILES:
        # An animation comes as a document as well, a venue as a location.
        if kind in message and not (kind == "document" and "animation" in message):
            yield _attachment(kind, message[kind])
    for kind in _OTHERS:
        if kind in message and not (kind == "location" and "venue" in message):
            yield Attachment(kind)


def _attachment(kind: str, file: Json) -> Attachment:
    return Attachment(
        kind,
        str(file["file_id"]),
        int(file.get("file_size", 0)),
        clean(str(file.get("file_name", "")))[:200],
        str(file.get("mime_type", "")),
        int(file.get("duration", 0)),
    )
