"""OpenAI's API for sound: what is said in it, in its language or in English, and speech."""

import msgspec
from msgspec import Raw

from freeroute.domain.tasks import Task
from freeroute.errors import InvalidRequest
from freeroute.surfaces.conversing import Asked, Conversations, Understand
from freeroute.surfaces.http import Request
from freeroute.surfaces.routes import Route
from freeroute.surfaces.tasks import AS_IT_IS, task_route, text_in
from freeroute.wire.asking import asked_for, call_of
from freeroute.wire.multipart import form_of

LONGEST = 26 * 2**20
"""Bytes of a form: OpenAI takes files of 25 MiB, and the other fields are small."""

_SURFACE = "audio"
_FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
_SWITCHES = {"true": Raw(b"true"), "false": Raw(b"false")}


def routes(conversations: Conversations) -> list[Route]:
    """Return what is served."""
    return [
        task_route(
            conversations,
            "/v1/audio/transcriptions",
            _SURFACE,
            _understanding(Task.TRANSCRIPTION),
            longest=LONGEST,
        ),
        task_route(
            conversations,
            "/v1/audio/translations",
            _SURFACE,
            _understanding(Task.TRANSLATION),
            longest=LONGEST,
        ),
        task_route(conversations, "/v1/audio/speech", _SURFACE, understand_speech),
    ]


def _understanding(task: Task) -> Understand:
    def understand(request: Request, body: bytes) -> Asked:
        """Return what the form *body* asks for; raises InvalidRequest."""
        form = form_of(request.header(b"content-type"), body)
        if not any(part.name == "file" and len(part.value) for part in form.parts):
            raise InvalidRequest("file is missing: send the sound as a file.", param="file")
        texts = form.texts
        given = {name: Raw(msgspec.json.encode(text)) for name, text in texts.items()}
        stream = texts.get("stream", "false").strip().lower()
        if stream not in _SWITCHES:
            raise InvalidRequest("stream: must be true or false.", param="stream")
        if texts.get("response_format", "json") not in _FORMATS:
            told = f"response_format: must be one of {', '.join(_FORMATS)}."
            raise InvalidRequest(told, param="response_format")
        given["stream"] = _SWITCHES[stream]
        if "provider" in texts:
            given["provider"] = Raw(texts["provider"].encode())
        return Asked(call_of(task, given, [texts.get("prompt", "").encode()], form=form), AS_IT_IS)

    return understand


def understand_speech(request: Request, body: bytes) -> Asked:
    """Return what *body* asks to be spoken; raises InvalidRequest."""
    given = asked_for(Task.SPEECH, body, wanted="model, input and voice")
    call = call_of(Task.SPEECH, given, [text_in(given, "input")])
    call.stream = True  # it is heard as it comes, whatever is asked for
    return Asked(call, AS_IT_IS)
