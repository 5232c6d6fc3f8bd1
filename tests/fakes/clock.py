"""A clock that a test owns."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start

    def __call__(self) -> datetime:
        """Return the moment."""
        return self.now

    def forward(self, **span: float) -> datetime:
        """Move on by a timedelta's arguments and return the new moment."""
        self.now += timedelta(**span)
        return self.now
