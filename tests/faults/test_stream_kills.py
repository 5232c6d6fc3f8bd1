"""A kill while a model thinks, speaks or acts for somebody on Telegram (F1): one answer, no act twice."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support import scenarios
from support.judge import PLEASE
from support.kept import Kept
from support.marks import Tap
from support.model_double import ModelDouble, Thought
from support.model_double import serving as model_serving
from support.telegram_double import TelegramDouble, serving
from support.telegram_pairing import ANN, TOKEN, paired

GROUP = -100
PATIENT_S = 60
LONG = "I look at it, step by step, and tell what I find on the way. " * 3
DONE = "That is done, and this is the end of it all."


def tells(body: Mapping[str, Any]) -> list[Any]:
    """Answer for the model: many words, then what it was asked for, and many words again."""
    [*_, last] = scenarios.obeys(body)
    return [f"{LONG}{DONE}"] if isinstance(last, str) else [Thought(LONG), LONG, last]


@pytest.fixture(scope="module")
async def model():
    """Yield a model that speaks slowly."""
    async with model_serving(ModelDouble([tells])) as double:
        double.pause_s = 0.15
        yield double


@pytest.fixture(scope="module")
async def double():
    """Yield Telegram, where Ann writes to a bot, alone and in a group."""
    async with serving(TelegramDouble(token=TOKEN, username="it0_bot", per_chat=0, per_group=0)) as double:
        double.private(ANN, "Ann Lee")
        double.group(GROUP, "Ops", [ANN])
        yield double


@pytest.fixture(scope="module")
async def yard(build, double, model):
    """Return a house with the bot and the model."""
    telegram = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": double.url}
    yard = await build(ANTHROPIC_API_KEY="sk-test", ANTHROPIC_BASE_URL=model.url, **telegram)
    await paired(yard.house, double, ANN, "admin")
    return yard


def called(double: TelegramDouble, method: str) -> int:
    """Return how often a method was called."""
    return sum(call.method.lower() == method for call in double.calls)


Moment = Callable[[TelegramDouble, ModelDouble, Tap], Callable[[], bool]]


def while_it_thinks(double: TelegramDouble, model: ModelDouble, tap: Tap) -> Callable[[], bool]:
    """The model has begun its first message."""
    before = len(model.requests)
    return lambda: len(model.requests) > before


def while_its_words_are_shown(double: TelegramDouble, model: ModelDouble, tap: Tap) -> Callable[[], bool]:
    """A draft, or in a group a message that will be edited, is to be seen."""
    before = called(double, "sendmessagedraft") + called(double, "sendmessage")
    return lambda: called(double, "sendmessagedraft") + called(double, "sendmessage") > before


def once_its_command_ran(double: TelegramDouble, model: ModelDouble, tap: Tap) -> Callable[[], bool]:
    """The command has read what it reads."""
    return lambda: tap.readers > 0


def while_it_ends(double: TelegramDouble, model: ModelDouble, tap: Tap) -> Callable[[], bool]:
    """The model has begun its last message."""
    before = len(model.requests)
    return lambda: len(model.requests) > before + 1


MOMENTS = (while_it_thinks, while_its_words_are_shown, once_its_command_ran, while_it_ends)


OFTEN = ((once_its_command_ran, GROUP),)
CASES = [
    pytest.param(
        moment,
        chat,
        id=f"{moment.__name__}-{name}",
        marks=() if (moment, chat) in OFTEN else pytest.mark.long,
    )
    for moment in MOMENTS
    for chat, name in ((ANN, "private"), (GROUP, "group"))
]
"""Those that are not run each time belong to the long ones."""


@pytest.mark.timeout(200)
@pytest.mark.parametrize(("moment", "chat"), CASES)
async def test_a_kill_in_a_models_turn_loses_no_answer_and_repeats_no_command(
    yard, double, model, chat, moment: Moment
):
    before = len(double.messages(chat))
    async with Kept(yard.house, yard.client) as kept, Tap(yard.marks) as tap:
        now = moment(double, model, tap)
        double.say(chat, ANN, f"@it0_bot {PLEASE}/run local {tap.command}")
        await scenarios.until(now, PATIENT_S)
        yard.house.kill()
        await scenarios.until(lambda: bool(answers(double, chat, before)), PATIENT_S)
        faults = await yard.judge.settled(yard.client)
    yard.judge.forgive(faults)
    assert faults == []
    assert kept.deaths == 1
    assert len(answers(double, chat, before)) == 1
    assert tap.readers <= 1


@pytest.mark.timeout(200)
async def test_a_kill_leaves_nothing_in_a_group_that_showed_the_turn(yard, double, model):
    before = len(double.messages(GROUP))
    async with Kept(yard.house, yard.client), Tap(yard.marks) as tap:
        double.say(GROUP, ANN, f"@it0_bot {PLEASE}/run local {tap.command}")
        async with yard.house.database() as db, asyncio.timeout(PATIENT_S):
            while not await db.fetchval("SELECT count(*) FROM it0_shared.passing"):
                await asyncio.sleep(0.05)
        yard.house.kill()
        await scenarios.until(lambda: bool(answers(double, GROUP, before)), PATIENT_S)
        await scenarios.until(lambda: standing(double, before) == answers(double, GROUP, before), PATIENT_S)
        yard.judge.forgive(await yard.judge.settled(yard.client))


def standing(double: TelegramDouble, before: int) -> list[Any]:
    """Return what is to be seen in the group after so many messages."""
    return [m for m in double.messages(GROUP)[before:] if not m.deleted]


def answers(double: TelegramDouble, chat: int, before: int) -> list[Any]:
    """Return the model's last words as messages that stayed, after so many."""
    return [m for m in double.messages(chat)[before:] if DONE in m.visible and not m.deleted]
