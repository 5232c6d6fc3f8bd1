"""A model that is busy, breaks off, falls silent or writes nonsense (F12): no half command, always an end."""

import json

import pytest
from support.house import words_of
from support.judge import PLEASE
from support.marks import Tap
from support.model_double import Fault, ModelDouble, Status, Use, run_on, serving
from support.scenarios import obeys

SILENCE_S = 2.0
LOOKS = "I look at it, step by step. "


@pytest.fixture(scope="module")
async def model():
    """Yield a model whose script each test writes."""
    async with serving(ModelDouble([obeys])) as double:
        yield double


@pytest.fixture(scope="module")
async def yard(build, model):
    """Return a house that is not patient for long."""
    patience = {"MODEL_SILENCE_S": str(SILENCE_S), "MODEL_PATIENCE_S": "3"}
    return await build(ANTHROPIC_API_KEY="sk-test", ANTHROPIC_BASE_URL=model.url, **patience)


IN_WORDS, IN_A_CALL = 4, 12
"""After so many events of a message a fault comes."""


@pytest.mark.parametrize("where", [IN_WORDS, IN_A_CALL], ids=["in its words", "in a call"])
@pytest.mark.parametrize("how", ["cut", "end", "silent", "overloaded"])
async def test_a_stream_that_goes_wrong_is_begun_again_and_its_command_runs_once(yard, model, how, where):
    async with Tap(yard.marks) as tap:
        model.script = [Fault([LOOKS, run_on("local", tap.command)], how, where), obeys]
        reply = await yard.client.ask(f"{PLEASE}/run local {tap.command}", timeout_s=30)
        assert words_of(reply) == "That is done."
        assert tap.readers == 1


@pytest.mark.parametrize("status", [429, 500, 529])
async def test_an_api_that_is_busy_is_asked_again(yard, model, status):
    async with Tap(yard.marks) as tap:
        model.script = [Status(status, retry_after="1"), obeys]
        reply = await yard.client.ask(f"{PLEASE}/run local {tap.command}", timeout_s=30)
        assert words_of(reply) == "That is done."
        assert tap.readers == 1


@pytest.mark.parametrize("cut_off", [0, 1, -2, -1])
async def test_a_call_that_is_no_json_runs_nothing_and_the_turn_goes_on(yard, model, cut_off):
    async with Tap(yard.marks) as tap:
        whole = json.dumps({"command": tap.command, "servers": ["local"]})
        model.script = [[LOOKS, Use("run_command", raw=whole[:cut_off] or "{")], "I leave it."]
        reply = await yard.client.ask("look at it, please", timeout_s=30)
        assert words_of(reply) == "I leave it."
        assert tap.readers == 0


async def test_an_api_that_stays_away_is_given_up_and_said_so(yard, model):
    async with Tap(yard.marks) as tap:
        model.script = [Fault([LOOKS, run_on("local", tap.command)], "cut", IN_A_CALL)]
        asked = len(model.requests)
        reply = await yard.client.ask(f"{PLEASE}/run local {tap.command}", timeout_s=30)
        assert words_of(reply).startswith("The model cannot be used now")
        assert len(model.requests) - asked <= 4
        assert tap.readers == 0
