"""What a model is told of a conversation: the stored log, read as messages.

The log is the truth and is never rewritten (decision 6): the same log always gives the same messages, so that
a turn goes on after a restart where it stood, and what was sent before is found in the model's cache.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.messages import Code, Part, framed, part_from_json
from core.store.database import Row
from core.texts import Say

Words = Callable[[Say], str]
"""Puts a sentence in words for the model."""

MESSAGE = "message"
"""The kind of the events that hold a model's messages, as it sent them or as it was told them."""

CHARACTERS = 400_000
"""Of a conversation, about 100,000 tokens; older turns are left out, and the model is told so."""

LEFT_OUT = "[Earlier messages of this conversation are left out here.]"
NO_ANSWER = "[This call was not answered: the turn ended before.]"
_LINK = re.compile(r"(/login\?token=|/secret/[\w-]+\.)[\w-]+")
"""One-time links, which sign in whoever has them: no model is told what they hold."""

UNREADABLE = "unreadable_arguments"
"""The argument that stands for arguments which were no JSON: no tool takes it, so nothing runs."""

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Use:
    """A tool call that the model asked for. no: the step's number within its turn."""

    no: int
    id: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(slots=True)
class Talk:
    """A conversation up to a turn's present state.

    messages: for the Messages API. uses: calls of the turn's last message that are not answered yet.
    waiting: the approval that the turn has asked for. answer: its last words, once it has no more to do.
    steps, calls, tokens, usd: what the turn has used so far.
    """

    messages: list[Block] = field(default_factory=list)
    uses: Sequence[Use] = ()
    waiting: str | None = None
    answer: str | None = None
    steps: int = 0
    calls: int = 0
    tokens: int = 0
    usd: float = 0.0


def read(events: Sequence[Row], turn_id: str, model: str, words: Words, most: int = CHARACTERS) -> Talk:
    """Return the conversation up to and with the turn ``turn_id``.

    events: the log in order. model: whose thinking may be handed back; another's is left out.
    most: characters of earlier turns.
    """
    turns = _turns(events, turn_id)
    own = turns.pop(turn_id, [])
    texts = {row["seq"]: row["body"]["text"] for row in events if row["kind"] == "said"}
    earlier = [_messages(turn, texts, words, None) for turn in turns.values()]
    messages = [*_newest(earlier, most), *_messages(own, texts, words, model)]
    talk = Talk(_merged(messages))
    _tell_state(talk, own)
    return talk


def _turns(events: Sequence[Row], turn_id: str) -> dict[str, list[Row]]:
    """Return the events of each turn up to ``turn_id``, in the turns' order.

    What was typed during another turn and taken in by it is no turn of its own.
    """
    taken = {seq for row in events if row["kind"] == "steered" for seq in row["body"]["seqs"]}
    turns: dict[str, list[Row]] = {}
    for row in events:
        if row["turn_id"] and row["seq"] not in taken:
            turns.setdefault(row["turn_id"], []).append(row)
    ids = list(turns)
    after = ids[ids.index(turn_id) + 1 :] if turn_id in turns else []
    return {each: rows for each, rows in turns.items() if each not in after}


def _messages(turn: Sequence[Row], texts: Mapping[int, str], words: Words, model: str | None) -> list[Block]:
    """Return one turn as messages. model: keep its thinking; None for a turn that is over."""
    answers = {row["body"]["no"]: row["body"] for row in turn if row["kind"] == "result"}
    thought = any(row["kind"] == MESSAGE for row in turn)
    found: list[Block] = []
    open_uses = False
    for row in turn:
        body = row["body"]
        match row["kind"]:
            case "said":
                found.append(_user(body["text"]))
            case "message" if body["role"] == "user":
                found.append({"role": "user", "content": body["content"]})
            case "message":
                found.append({"role": "assistant", "content": _kept(body, model)})
                open_uses = bool(body["uses"])
                if open_uses:
                    found.append(_answered(body, answers, words))
            case "steered":
                found += [_user(texts[seq]) for seq in body["seqs"] if seq in texts]
            case "reply" if not thought or open_uses:
                found.append({"role": "assistant", "content": [_text(told(body["parts"], words))]})
    return found


def _kept(body: Mapping[str, Any], model: str | None) -> list[Block]:
    """Return a message's blocks; thinking is bound to the model that thought it, and to its turn."""
    kept = [b for b in body["content"] if model == body["model"] or "thinking" not in b["type"]]
    return kept or [_text("…")]


def _answered(body: Mapping[str, Any], answers: Mapping[int, Any], words: Words) -> Block:
    """Return the answers to a message's calls, in its order."""
    content = []
    for use in body["uses"]:
        answer = answers.get(use["no"])
        text = framed(told(answer["parts"], words), body["nonce"]) if answer else NO_ANSWER
        content.append(
            {
                "type": "tool_result",
                "tool_use_id": use["id"],
                "content": f"status: {answer['status']}\n{text}" if answer else text,
                "is_error": answer is None or answer["status"] in ("refused", "failed"),
            }
        )
    return {"role": "user", "content": content}


def told(parts: Sequence[Any], words: Words) -> str:
    """Return stored parts as the model reads them."""
    return "\n".join(_words(part_from_json(part), words) for part in parts)


def _words(part: Part, words: Words) -> str:
    match part:
        case Say():
            return words(part)
        case Code():
            return f"[{part.title}]\n{part.code}" if part.title else part.code
        case str():
            return _LINK.sub(r"\1…", part)


def _tell_state(talk: Talk, own: Sequence[Row]) -> None:
    """Fill in where the turn stands."""
    results = {row["body"]["no"]: row["body"] for row in own if row["kind"] == "result"}
    last: Mapping[str, Any] | None = None
    for row in own:
        if row["kind"] == MESSAGE and row["body"]["role"] == "assistant":
            last = row["body"]
            talk.steps += 1
            talk.calls += len(last["uses"])
            talk.tokens += last["tokens"]
            talk.usd += last["usd"]
    talk.waiting = next((r["approval_id"] for r in results.values() if r["status"] == "waiting"), None)
    if last is None:
        return
    calls = [Use(use["no"], use["id"], use["tool"], use["arguments"]) for use in last["uses"]]
    talk.uses = [call for call in calls if call.no not in results]
    if not calls:
        talk.answer = "\n".join(b["text"] for b in last["content"] if b["type"] == "text").strip()


def _newest(turns: Sequence[list[Block]], most: int) -> list[Block]:
    """Return the newest turns that fit into ``most`` characters, and say so where some do not."""
    kept: list[list[Block]] = []
    for turn in reversed(turns):
        most -= sum(map(_length, turn))
        if most < 0:
            kept.append([_user(LEFT_OUT)])
            break
        kept.append(turn)
    return [message for turn in reversed(kept) for message in turn]


def _length(message: Block) -> int:
    return sum(len(str(block.get("text") or block.get("content") or block)) for block in message["content"])


def _merged(messages: Sequence[Block]) -> list[Block]:
    """Return the messages with roles in turns, a person's first: each message takes in its like."""
    merged: list[Block] = []
    for message in _from_person(messages):
        if merged and merged[-1]["role"] == message["role"]:
            merged[-1] = {"role": message["role"], "content": [*merged[-1]["content"], *message["content"]]}
        else:
            merged.append(message)
    return merged


def _from_person(messages: Sequence[Block]) -> Iterator[Block]:
    if messages and messages[0]["role"] != "user":
        yield _user(LEFT_OUT)
    yield from messages


def _user(text: str) -> Block:
    return {"role": "user", "content": [_text(text)]}


def _text(text: str) -> Block:
    return {"type": "text", "text": text or "…"}
