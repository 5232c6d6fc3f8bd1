"""A kill at every named point of a request by Telegram loses nothing and runs nothing twice (F1)."""

from collections import Counter

import pytest
from support.house import Client, House
from support.marks import Marks
from support.telegram_double import TelegramDouble, serving
from support.telegram_pairing import ANN, TOKEN, paired
from test_kill_points import killed_within, without_count

PATIENT_S = 90


@pytest.fixture(scope="module")
async def double():
    """Yield Telegram, where Ann writes to a bot."""
    async with serving(TelegramDouble(token=TOKEN, username="it0_bot", per_chat=0)) as double:
        double.private(ANN, "Ann Lee")
        yield double


@pytest.fixture(scope="module")
async def yards(build, double, tmp_path_factory):
    """Return a house with the bot."""
    points = tmp_path_factory.mktemp("points") / "0"
    points.touch()
    yard = await build(IT0_TEST_POINTS=str(points), TELEGRAM_BOT_TOKEN=TOKEN, TELEGRAM_API_URL=double.url)
    await paired(yard.house, double, ANN, "admin")
    return [(yard, points)]


def told(double: TelegramDouble, *words: str) -> list:
    """Return the bot's messages that hold all of ``words``."""
    return [m for m in double.messages(ANN) if all(word in m.visible for word in words)]


def through(double: TelegramDouble):
    """Return a request by Telegram, from its first word to what came of it."""

    async def chat(house: House, client: Client, marks: Marks) -> None:
        command = marks.write(0.1)
        mark = str(marks.of(command))
        double.say(ANN, ANN, f"/run local {command}")
        cards = await double.until(lambda: told(double, mark, "waits for approval"), PATIENT_S)
        double.click(cards[0], "Approve", ANN)
        await double.until(lambda: told(double, mark, " was approved"), PATIENT_S)
        await double.until(lambda: told(double, mark, "approved by admin"), PATIENT_S)

    return chat


def judge_what_was_heard(double: TelegramDouble) -> None:
    """Only a kill between Telegram's acceptance and our mark lets one message come twice."""
    said = Counter(m.visible for m in double.messages(ANN))
    twice = [text for text, count in said.items() if count > 1 and "local" in text]
    print(f"messages that Telegram took twice: {len(twice)}")
    assert max(said.values()) <= 2
    assert len(twice) <= 4


AT_THE_EDGE = ("channels.delivery", "bot.inbound.front")


@pytest.mark.timeout(200)
async def test_a_kill_where_telegram_hands_over_or_takes_loses_nothing(yards, double, subtests):
    def edge(point: str) -> str:
        name = without_count(point)
        return name if any(each in name for each in AT_THE_EDGE) else ""

    await killed_within(through(double), yards, subtests, {""}, edge)
    judge_what_was_heard(double)


@pytest.mark.long
async def test_a_kill_at_every_point_of_a_request_by_telegram_loses_nothing(yards, double, subtests):
    await killed_within(through(double), yards, subtests, set(), without_count)
    judge_what_was_heard(double)
