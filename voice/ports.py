"""The ports of speech, which the voice issue's models implement."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from core.texts import Language

SAMPLE_RATE_HZ = 16_000
"""Every signal inside it0 is 16-bit little-endian PCM, mono, at this rate."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard. confidence: 0 to 1."""

    text: str
    language: Language
    confidence: float


class SpeechToText(Protocol):
    """Turns speech into words."""

    async def transcribe(self, pcm: bytes, language: Language) -> Transcript:
        """Return what ``pcm`` says (s16le mono at SAMPLE_RATE_HZ)."""
        ...


class TextToSpeech(Protocol):
    """Turns words into speech."""

    def speak(self, text: str, language: Language) -> AsyncIterator[bytes]:
        """Yield PCM (s16le mono at SAMPLE_RATE_HZ), sentence by sentence."""
        ...


class VoiceActivity(Protocol):
    """Finds speech in a signal."""

    def probability(self, frame: bytes) -> float:
        """Return how likely a frame of 512 samples holds speech, 0 to 1."""
        ...
