"""How one request ends at a simulated provider: decided in one go, before anything waits."""

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from freeroute.clock import Now
from freeroute.upstreams.simulated.faults import Fault, Speed
from freeroute.upstreams.simulated.limits import Charge, Ledger, Meter, Refusal, Rule
from freeroute.upstreams.simulated.pace import Ending, Frame, Script, until_token
from freeroute.upstreams.simulated.shapes import Dialect, Model, Pairs, Problem, Request, pair
from freeroute.upstreams.simulated.text import Answer, compose, prompt_tokens
from freeroute.upstreams.transport import Disconnected, NameNotFound, Refused, TlsFailed, TransportError

_HTML = b"<!doctype html><html><head><title>Just a moment...</title></head><body>Checking.</body></html>"
# Deeper than anything a caller means.
_DEEPEST = 100
_MOST_CHOICES = 8
# How code written for sound bodies fails on others: nobody checks each field of what it only simulates.
_UNSOUND = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class Scene(Struct, frozen=True):
    """What a provider knows when a request comes in."""

    dialect: Dialect
    models: Mapping[str, Model]
    account_rules: Sequence[Rule]
    ledger: Ledger
    accepted: bool
    crowded: bool
    speed: Speed | None
    answer_tokens: tuple[int, int]
    seed: int
    ordinal: int
    now: Now


class Course(Struct):
    """What will happen: a script to play, or *broken*, an exchange that ends below HTTP."""

    script: Script
    model: str = ""
    stream: bool = False
    prompt: int = 0
    output: int = 0
    charge: Charge | None = None
    broken: TransportError | None = None

    def generated(self, elapsed: float) -> int:
        """Return the tokens made *elapsed* seconds into the work, for a reader who left before the head."""
        return min(self.output, self.script.speed.within(elapsed))

    def settle(self, generated: int, now: Now) -> int:
        """Let the counts hold what was really used; return the tokens the call cost."""
        if self.charge is None:
            return 0
        self.charge.settle({"tokens": self.prompt + generated}, now)
        return self.prompt + generated


class _Rejected(Exception):
    """The request ends with a problem; *counted* is what it still takes from the limits."""

    def __init__(self, problem: Problem, counted: str = "nothing", meter: Meter | None = None) -> None:
        super().__init__(problem.kind)
        self.problem = problem
        self.counted = counted
        self.meter = meter


class _Order(Struct):
    """A request that could be read."""

    body: dict[str, Any]
    model: Model
    rules: tuple[Rule, ...]
    prompt: int
    stream: bool


def course(scene: Scene, request: Request, fault: Fault | None) -> Course:
    """Decide how a chat request ends."""
    broken = _unreachable(scene, fault)
    if broken is not None:
        return Course(_nothing(), broken=broken)
    order: _Order | None = None
    try:
        order = _read(scene, request, fault)
        _check(scene, order, fault)
        # Made before it is charged: a body nothing can be made of costs nothing.
        answer = _answer(scene, order)
        charge = _admit(scene, order)
    except _Rejected as rejected:
        return _refusing(scene, order, rejected)
    except _UNSOUND:
        unsound = Problem("malformed", text="The request body is not what this route takes.")
        return _refusing(scene, order, _Rejected(unsound))
    made = Course(_nothing(), order.model.id, order.stream, order.prompt, charge=charge)
    if fault is not None and fault.kind == "hang":
        made.script.head_after = math.inf
    elif fault is not None and fault.kind == "reset":
        made.broken = Disconnected("the connection was reset before the answer", received=0)
    else:
        made.output = answer.completion_tokens
        made.script = _script(scene, order, answer, fault)
    return made


def other(scene: Scene, request: Request) -> Script:
    """Answer the routes that are not chat: the list of models and what a provider adds."""
    dialect = scene.dialect
    own = dialect.other(request, list(scene.models.values())) if request.method == "GET" else None
    if own is not None and scene.accepted:
        return plain(200, own, dialect.json_type)
    listing = (request.method, request.path) == ("GET", f"{dialect.base_path}/models")
    if listing or own is not None:
        if listing and (scene.accepted or dialect.lists_openly):
            return plain(200, dialect.listing(list(scene.models.values())), dialect.json_type)
        problem = Problem("bad_key" if request.key else "no_key")
    else:
        problem = Problem("no_path", text=f"{request.method} {request.path}")
    return plain(*dialect.error(problem), dialect.json_type)


# --- reading and refusing ------------------------------------------------------------------------------


def _unreachable(scene: Scene, fault: Fault | None) -> TransportError | None:
    host = scene.dialect.origins[0].partition("://")[2]
    match fault.kind if fault else None:
        case "refused":
            return Refused(f"{host} refused the connection")
        case "tls":
            return TlsFailed(f"the certificate of {host} is not valid")
        case "dns":
            return NameNotFound(f"{host} does not resolve")
        case _:
            return None


def _read(scene: Scene, request: Request, fault: Fault | None) -> _Order:
    if not scene.accepted or (fault is not None and fault.kind == "invalid_key"):
        raise _Rejected(Problem("bad_key" if request.key else "no_key"))
    try:
        body = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise _Rejected(Problem("malformed", text="The request body is not valid JSON.")) from None
    if _too_deep(body):
        raise _Rejected(Problem("malformed", text="The request body is nested too deeply."))
    messages = scene.dialect.messages(body) if isinstance(body, dict) else None
    if not isinstance(messages, list) or not messages or not all(isinstance(item, dict) for item in messages):
        text = "'messages' : minimum number of items is 1"
        raise _Rejected(Problem("malformed", param="messages", text=text))
    name = body.get("model")
    if not isinstance(name, str):
        raise _Rejected(Problem("malformed", param="model", text="'model' : property is missing"))
    model = scene.models.get(name) or scene.models.get(name.removeprefix("models/"))
    if model is None or (fault is not None and fault.kind == "model_gone"):
        raise _Rejected(Problem("model_gone", model=name))
    rules = (*model.rules, *scene.account_rules)
    body = scene.dialect.read(body)
    return _Order(body, model, rules, prompt_tokens(body), bool(body.get("stream")))


def _too_deep(body: Any) -> bool:
    """Say whether *body* is nested deeper than any code here may follow."""
    level = [body]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _choices(dialect: Dialect, body: Mapping[str, Any]) -> int:
    """Return how many choices *body* asks for."""
    wanted = body.get("n")
    if wanted is None or not dialect.heeds_n:
        return 1
    if not isinstance(wanted, int) or isinstance(wanted, bool) or not 1 <= wanted <= _MOST_CHOICES:
        text = f"'n' : must be an integer from 1 to {_MOST_CHOICES}"
        raise _Rejected(Problem("bad_param", param="n", at=("body", "n"), text=text))
    return wanted


def _check(scene: Scene, order: _Order, fault: Fault | None) -> None:
    problem = scene.dialect.invalid(order.body) or _scripted(scene, order, fault)
    room = scene.dialect.context(order.body, order.model)
    seen = scene.dialect.prompt_counted(order.prompt, order.body, room)
    if problem is None and seen > room:
        problem = _too_long(order, room)
    order.prompt = seen
    if problem is not None:
        counted = "all" if scene.dialect.counts_failures and problem.kind != "quota" else "nothing"
        raise _Rejected(problem, counted)


def _too_long(order: _Order, limit: int) -> Problem:
    asked = max(order.prompt, limit + 1)
    return Problem("context_too_long", model=order.model.id, requested=asked, limit=limit)


def _scripted(scene: Scene, order: _Order, fault: Fault | None) -> Problem | None:
    if fault is None:
        return None
    name = order.model.id
    match fault.kind:
        case "status":
            return Problem("server", model=name, status=fault.status)
        case "payment" | "forbidden" | "capacity":
            return Problem(fault.kind, model=name)
        case "context_too_long":
            return _too_long(order, scene.dialect.context(order.body, order.model))
        case "content_filter" if scene.dialect.filters_by_error:
            return Problem("content_filter", model=name)
        case "rate_limit":
            return Problem("quota", model=name, refusal=_pretended(scene, order, fault))
        case _:
            return None


def _pretended(scene: Scene, order: _Order, fault: Fault) -> Refusal:
    """A refusal as if the limit that *fault* names were spent."""
    metrics = ("requests",) if fault.metric == "requests" else ("tokens", "input_tokens")
    spans = [rule for rule in order.rules if rule.per == fault.scope]
    rule = next((rule for rule in spans if rule.metric in metrics), None)
    rule = rule or (spans[0] if spans else Rule(fault.metric, 30, fault.scope))
    cost = 1 if rule.metric == "requests" else order.prompt
    wait = fault.retry_after
    if wait is None and rule.window == "calendar":
        wait = scene.ledger.window(rule, order.model.id).reset(scene.now)
    return Refusal(rule, rule.amount, cost, rule.seconds / 3 if wait is None else wait, scripted=True)


def _admit(scene: Scene, order: _Order) -> Charge:
    """Take the call from all counts, or refuse it."""
    dialect, name = scene.dialect, order.model.id
    if scene.crowded:
        raise _Rejected(Problem("capacity", model=name))
    costs = _costs(dialect, order)
    refusal = scene.ledger.refusal(order.rules, name, costs, scene.now)
    if refusal is not None:
        never = math.isinf(refusal.wait) and dialect.reserves_output
        problem = Problem("too_large" if never else "quota", model=name, refusal=refusal)
        raise _Rejected(problem, "day" if dialect.counts_refusals else "nothing")
    return scene.ledger.charge(order.rules, name, costs, scene.now)


def _costs(dialect: Dialect, order: _Order) -> dict[str, float]:
    reserved = 0
    if dialect.reserves_output:
        asked = dialect.output_allowed(order.body)
        reserved = dialect.assumed_output if asked is None else asked
        # What is assumed is also the most that is held back.
        reserved = max(0, min(reserved, dialect.assumed_output or reserved))
    return {"requests": 1, "tokens": order.prompt + reserved, "input_tokens": order.prompt}


def _refusing(scene: Scene, order: _Order | None, rejected: _Rejected) -> Course:
    dialect, problem = scene.dialect, rejected.problem
    meter: Meter | None = None
    headers: Pairs = []
    if order is not None:
        rules = {"all": order.rules, "day": [rule for rule in order.rules if rule.per == "day"]}
        costs = {"requests": 1.0, "tokens": order.prompt, "input_tokens": order.prompt}
        scene.ledger.charge(rules.get(rejected.counted, ()), order.model.id, costs, scene.now)
        pretended = problem.refusal if problem.refusal and problem.refusal.scripted else None
        meter = Meter(scene.ledger, order.rules, order.model.id, scene.now, pretended)
        headers = dialect.rate_headers(meter)
    headers += dialect.error_headers(problem, meter)
    script = plain(*dialect.error(problem, meter), dialect.json_type, headers)
    return Course(script, order.model.id if order else problem.model, order.stream if order else False)


# --- answering -----------------------------------------------------------------------------------------


def _script(scene: Scene, order: _Order, answer: Answer, fault: Fault | None) -> Script:
    kind = fault.kind if fault else "ok"
    speed = scene.speed or order.model.speed
    if kind == "slow" and fault is not None:
        speed = replace(speed, first_token=fault.first_token)
    if kind in ("empty", "content_filter"):
        finish = "stop" if kind == "empty" else kind
        answer = replace(answer, pieces=(), tool_calls=(), finish=finish, others=())
    speed = replace(speed, first_token=speed.first_token + scene.dialect.load(order.body, order.model))
    headers = scene.dialect.rate_headers(Meter(scene.ledger, order.rules, order.model.id, scene.now))
    if kind in ("garbage", "html"):
        script = _noise(kind, random.Random(f"{scene.seed}/{scene.ordinal}"), scene.dialect, order.stream)
        script.head_after = speed.first_token
    elif order.stream:
        script = _streamed(scene.dialect, order, answer, fault, speed)
    else:
        script = _whole(scene.dialect, answer, fault, speed)
    script.headers = [*script.headers, *headers]
    script.speed = speed
    return script


def _answer(scene: Scene, order: _Order) -> Answer:
    dialect = scene.dialect
    allowed = dialect.output_allowed(order.body)
    answer = compose(
        order.body,
        provider=dialect.id,
        model=order.model.id,
        seed=scene.seed,
        ordinal=scene.ordinal,
        created=int(scene.now.wall),
        limit=order.model.max_output if allowed is None else min(allowed, order.model.max_output),
        lengths=scene.answer_tokens,
        obeys_tool_choice=dialect.obeys_tool_choice,
        choices=_choices(dialect, order.body),
    )
    return replace(answer, prompt_tokens=order.prompt)


def _whole(dialect: Dialect, answer: Answer, fault: Fault | None, speed: Speed) -> Script:
    kind = fault.kind if fault else "ok"
    value: Any = dialect.completion(answer)
    if kind == "error_in_200":
        value = dialect.error(Problem("server", model=answer.model, status=500))[1]
    elif kind == "no_choices":
        value = dialect.hollow(answer)
    script = plain(200, value, dialect.json_type)
    body = next(script.frames).data
    tokens = answer.completion_tokens
    # The head of a JSON answer comes after its last token.
    script.head_after = speed.first_token + speed.lasting(max(0, tokens - 1))
    script.frames = iter([Frame(body, tokens)])
    if kind in ("cut", "stall"):
        script.frames = iter([Frame(body[: len(body) // 2], tokens)])
        script.ending = Ending.TRUNCATED if kind == "cut" else Ending.SILENCE
    elif kind == "hang_after_head":
        script.frames, script.ending = iter(()), Ending.SILENCE
    return script


def _streamed(dialect: Dialect, order: _Order, answer: Answer, fault: Fault | None, speed: Speed) -> Script:
    options = order.body.get("stream_options")
    asked = isinstance(options, dict) and bool(options.get("include_usage"))
    frames, ending = _kept_alive(dialect, answer, asked, speed), Ending.DONE
    match fault.kind if fault else None:
        case "cut" if fault is not None:
            frames = until_token(frames, fault.tokens)
        case "stall" if fault is not None:
            frames, ending = until_token(frames, fault.tokens), Ending.SILENCE
        case "hang_after_head":
            frames, ending = iter(()), Ending.SILENCE
        case "error_in_200" if fault is not None:
            frames = _failing(until_token(frames, fault.tokens), dialect.failing_event(answer))
        case "no_choices":
            frames = dialect.hollow_frames(answer)
    headers = [pair("content-type", dialect.stream_type), pair("cache-control", "no-cache")]
    early = dialect.early_head or (fault is not None and fault.kind == "hang_after_head")
    return Script(200, headers, frames, head_after=0.0 if early else speed.first_token, ending=ending)


def _kept_alive(dialect: Dialect, answer: Answer, asked: bool, speed: Speed) -> Iterator[Frame]:
    second = 0
    while dialect.keepalive and (second < speed.first_token or not second):
        yield Frame(dialect.keepalive, at=float(second))
        second += 1
    yield from dialect.frames(answer, asked)


def _failing(frames: Iterator[Frame], last: Frame) -> Iterator[Frame]:
    yield from frames
    yield last


def _noise(kind: str, rng: random.Random, dialect: Dialect, stream: bool) -> Script:
    body, content_type = _HTML, "text/html; charset=utf-8"
    if kind == "garbage":
        # 0x80 first: no text encoding of JSON begins like this.
        body = b"\x80" + rng.randbytes(511)
        content_type = dialect.stream_type if stream else dialect.json_type
    headers = [pair("content-type", content_type), pair("content-length", len(body))]
    return Script(200, headers, iter([Frame(body)]))


def plain(status: int, value: Any, content_type: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> Script:
    """Return the script of a whole answer."""
    body = msgspec.json.encode(value)
    lead = [pair("content-type", content_type), pair("content-length", len(body))]
    return Script(status, [*lead, *headers], iter([Frame(body)]))


def _nothing() -> Script:
    return Script(0, (), iter(()))
