"""The exception tree.

FreerouteError
├── ConfigError            a setting, file or argument is wrong; the command exits with 2
└── ApiError               becomes an answer to a caller
    ├── InvalidRequest         400 invalid_request
    ├── UnsupportedCapability  400 unsupported_capability
    ├── ContextTooLong         400 context_length_exceeded
    ├── ContentFiltered        400 content_filter
    ├── InvalidApiKey          401 invalid_api_key
    ├── Forbidden              403 forbidden_origin / model_not_allowed / insufficient_scope / forbidden
    ├── NotFound               404 model_not_found / not_found
    ├── MethodNotAllowed       405 method_not_allowed
    ├── RequestTimeout         408 request_timeout
    ├── Conflict               409 conflict
    ├── TooLarge               413 request_too_large
    ├── Misdirected            421 misdirected_host
    ├── HeadersTooLarge        431 headers_too_large
    ├── RateLimited            429 rate_limit_exceeded (the client's own limit) / too_many_wrong_tokens
    ├── CapacityExhausted      429 capacity_exhausted (some candidate is only out of quota)
    ├── Internal               500 internal_error
    ├── UpstreamFailed         502 upstream_failed
    ├── NoProvider             503 no_provider_configured
    ├── Unavailable            503 unavailable
    ├── InMaintenance          503 maintenance
    ├── RecordsUnavailable     503 records_unavailable
    ├── ShuttingDown           503 shutting_down
    ├── LoopDetected           508 loop_detected
    └── UpstreamTimeout        504 upstream_timeout
"""

import math
from typing import Any, ClassVar


def forget_way(error: BaseException) -> None:
    """Let *error*, which is raised no more, forget the way that it came, and those that led to it theirs.

    A traceback holds the frames of all who passed it on. Where one of them holds the error too, all that they
    knew, such as the body of a request, would stay until the collector comes.
    """
    ways: list[BaseException | None] = [error]
    while ways:
        one = ways.pop()
        if one is not None and one.__traceback__ is not None:
            one.__traceback__ = None
            ways += (one.__cause__, one.__context__)


class FreerouteError(Exception):
    """Anything freeroute raises on purpose."""


class ConfigError(FreerouteError):
    """A setting, file or argument is wrong: the text says what, where and what would help.

    *field* is the path of the field that is wrong, empty for all of them together; None if it is no field.
    """

    def __init__(self, text: str, *, field: str | None = None) -> None:
        """Keep *text* and the place."""
        super().__init__(text)
        self.field = field


class ApiError(FreerouteError):
    """An answer to a caller in OpenAI's error shape."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "server_error"
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        metadata: dict[str, Any] | None = None,
        retry_after: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Keep *message* and what else the answer needs; *retry_after* is in seconds."""
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param
        self.metadata = metadata
        self.retry_after = retry_after
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the error object of the answer: ``{"error": {...}}``."""
        error: dict[str, Any] = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        if self.metadata is not None:
            error["metadata"] = self.metadata
        return {"error": error}

    def response_headers(self) -> dict[str, str]:
        """Return the headers of the answer; ``Retry-After`` is whole seconds, rounded up."""
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after)))
        return headers


class InvalidRequest(ApiError):
    """The request is malformed; *param* names the field."""

    status = 400
    kind = "invalid_request_error"
    default_code = "invalid_request"


class UnsupportedCapability(InvalidRequest):
    """Nothing configured can do what the request needs."""

    default_code = "unsupported_capability"


class ContextTooLong(InvalidRequest):
    """The prompt fits no candidate."""

    default_code = "context_length_exceeded"


class ContentFiltered(InvalidRequest):
    """The provider's content filter refused the prompt."""

    default_code = "content_filter"


class InvalidApiKey(ApiError):
    """The caller's key is missing or wrong."""

    status = 401
    kind = "authentication_error"
    default_code = "invalid_api_key"


class Forbidden(ApiError):
    """The caller may not do this."""

    status = 403
    kind = "permission_error"
    default_code = "forbidden"


class NotFound(ApiError):
    """No such model or path."""

    status = 404
    kind = "invalid_request_error"
    default_code = "not_found"


class MethodNotAllowed(ApiError):
    """The path exists, the method does not."""

    status = 405
    kind = "invalid_request_error"
    default_code = "method_not_allowed"


class RequestTimeout(ApiError):
    """The request took too long to arrive."""

    status = 408
    kind = "invalid_request_error"
    default_code = "request_timeout"


class Conflict(ApiError):
    """What is asked for does not go with what there is."""

    status = 409
    kind = "invalid_request_error"
    default_code = "conflict"


class TooLarge(ApiError):
    """The body is over the limit."""

    status = 413
    kind = "invalid_request_error"
    default_code = "request_too_large"


class Misdirected(ApiError):
    """The Host header is not one this gateway answers to."""

    status = 421
    kind = "invalid_request_error"
    default_code = "misdirected_host"


class HeadersTooLarge(ApiError):
    """Too many or too large request headers."""

    status = 431
    kind = "invalid_request_error"
    default_code = "headers_too_large"


class RateLimited(ApiError):
    """The client's own limit is spent."""

    status = 429
    kind = "rate_limit_error"
    default_code = "rate_limit_exceeded"


class CapacityExhausted(RateLimited):
    """Every candidate is out of quota, held or resting."""

    default_code = "capacity_exhausted"


class Internal(ApiError):
    """Our own fault."""


class UpstreamFailed(ApiError):
    """Every attempt failed."""

    status = 502
    kind = "upstream_error"
    default_code = "upstream_failed"


class NoProvider(ApiError):
    """Nothing is switched on."""

    status = 503
    kind = "service_unavailable_error"
    default_code = "no_provider_configured"


class Unavailable(ApiError):
    """Something that this needs does not work just now, such as a disk, or has no room for more."""

    status = 503
    kind = "service_unavailable_error"
    default_code = "unavailable"


class InMaintenance(ApiError):
    """The operator lets no requests in for now."""

    status = 503
    kind = "service_unavailable_error"
    default_code = "maintenance"


class RecordsUnavailable(ApiError):
    """The database of the records does not answer, or there is none."""

    status = 503
    kind = "service_unavailable_error"
    default_code = "records_unavailable"


class ShuttingDown(ApiError):
    """The gateway stops, and has waited for this answer as long as it may."""

    status = 503
    kind = "service_unavailable_error"
    default_code = "shutting_down"

    def __init__(
        self,
        message: str = "The gateway is shutting down, and this answer took longer than that may; try again.",
    ) -> None:
        """Say so: somebody else, or the gateway after its start, answers the same request."""
        super().__init__(message, retry_after=1.0)


class UpstreamTimeout(ApiError):
    """Every attempt timed out."""

    status = 504
    kind = "timeout_error"
    default_code = "upstream_timeout"


class LoopDetected(ApiError):
    """The request already passed through a gateway like this one."""

    status = 508
    kind = "invalid_request_error"
    default_code = "loop_detected"
