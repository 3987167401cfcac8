"""What callers say and providers count: prose of known length, each call marked with its number."""

import random
import re

import msgspec

_WORDS = tuple(
    "the a of and to in is it that was for on are with as his they be at one have this from or had by hot "
    "but some what there we can out other were all your when up use word how said each which their time if "
    "will way about many then them would write like so these her long make thing see him two has look more "
    "day could go come did number sound most people over know water than call first who may down side been "
    "now find any new work part take get place made live where after back little only round man year came "
    "show every good give under name very through just form sentence great think say help low line differ "
    "turn cause much mean before move right boy old too same tell does set three want air well also play "
    "small end put home read hand port large spell add even land here must big high such follow act why ask "
    "understanding communication environment responsibility international organisation".split()
)
_LONGEST = 6  # letters of a word that are one token, about what tokenizers do to English prose
_MARK = re.compile(rb"call (\d+):")


def tokens_of(text: str) -> int:
    """Return how many tokens providers count in *text*."""
    return sum(-(-len(word) // _LONGEST) for word in text.split())


def prompt(call: int, tokens: int, rng: random.Random) -> str:
    """Return prose of *tokens* tokens that carries the number of its *call*."""
    said = [f"call {call}:"]
    missing = tokens - tokens_of(said[0])
    while missing > 0:
        word = rng.choice(_WORDS)
        size = tokens_of(word)
        if size <= missing:
            said.append(word)
            missing -= size
    return " ".join(said)


def question(model: str, text: str, output: int, *, stream: bool) -> bytes:
    """Return the body of a chat completion request."""
    messages = [{"role": "user", "content": text}]
    return msgspec.json.encode({"model": model, "messages": messages, "max_tokens": output, "stream": stream})


def call_of(body: bytes) -> int:
    """Return the number of the call that *body* belongs to; -1 if nobody's: a probe."""
    found = _MARK.search(body)
    return int(found[1]) if found else -1


def answer(model: str, prompt_tokens: int, output: int) -> dict[str, object]:
    """Return a whole completion of *output* tokens."""
    message = {"role": "assistant", "content": ("word " * output).strip()}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(prompt_tokens, output),
    }


def event(model: str, delta: dict[str, str], finish: str | None = None) -> bytes:
    """Return an event of a stream."""
    return _event(model, [{"index": 0, "delta": delta, "finish_reason": finish}])


def last_event(model: str, prompt_tokens: int, output: int) -> bytes:
    """Return the event that tells the usage, and the end."""
    return _event(model, [], usage=_usage(prompt_tokens, output)) + b"data: [DONE]\n\n"


def _event(model: str, choices: list[object], **more: object) -> bytes:
    value = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    return b"data: " + msgspec.json.encode({**value, "choices": choices, **more}) + b"\n\n"


def _usage(prompt_tokens: int, output: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": output,
        "total_tokens": prompt_tokens + output,
    }
