"""How providers word what went wrong: the signs the verdicts look for in messages and codes."""

import re
from collections.abc import Iterator
from functools import cached_property

from freeroute.domain.outcome import BINDING, DROPPABLE, PREFILL


class Sign:
    """What to look for, in any case. It is compiled when first looked for: no start waits for all of them."""

    def __init__(self, *alternatives: str) -> None:
        """Look for any of the *alternatives*, regular expressions."""
        self.pattern = "|".join(alternatives)

    def search(self, text: str) -> re.Match[str] | None:
        """Return the first match in *text*."""
        return self._compiled.search(text)

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Return every match in *text*."""
        return self._compiled.finditer(text)

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.IGNORECASE)


LOADING = Sign(r"loading model", r"model is (?:currently )?loading", r"is being loaded")
# A full queue is not a broken server.
FULL = Sign(
    r"server busy",
    r"maximum pending",
    r"queue (?:is )?full",
    r"queue_exceeded",
    r"(?:at|over|no) capacity",
)
BUSY = Sign(
    FULL.pattern,
    r"service tier capacity",
    r"capacity[ _](?:exceeded|exhausted)",
    r"no (?:more )?data cent",
    r"degraded function",
    r"overloaded",
    r"rate.?limited upstream",
    r"^(?:3505|3040)$",
)
OWN_LIMIT = Sign(r"free-models-per")
ACCOUNT_WIDE = Sign(OWN_LIMIT.pattern, r"api calls / month", r"^3036$", r"free allocation")
PER_IP = Sign(r"\b(?:per|your) ip\b", r"from this ip")
NOTHING_LEFT = Sign(
    r"insufficient.?(?:quota|balance|credit|fund)",
    r"\blimit: 0\b(?![.\d])",
    r"^(?:1113|1910)$",
    r"tier_not_allowed",
    r"credit balance",
    r"billing_hard",
    r"requires a subscription",
    r"out of credits",
    r"no credits",
    r"payment required",
    r"included credits",
    r"not available (?:on|in|for) (?:your|the) (?:current )?(?:free )?(?:plan|tier)",
)
BAD_KEY = Sign(
    r"api.?key.?(?:not valid|invalid|expired|not found)",
    r"invalid.?api.?(?:key|token)",
    r"incorrect api key",
)
REGION = Sign(r"location is not supported", r"not available in your (?:country|region)")
# Kong's and Groq's words for a path that leads nowhere.
NO_ROUTE = Sign(r"no route matched with those values", r"unknown_url", r"unknown request url")
GONE = Sign(
    r"model_(?:not_found|decommissioned|deprecated|unavailable)",
    r"(?:no such|invalid|unknown) model",
    r"model\b.{0,120}(?:not found|not exist|is not available|decommissioned|retired|is not a valid)",
    r"is not a valid model",
    r"no endpoints found for",
    r"not found for account",
    r"^(?:5007|3042|invalid_model)$",
)
MISGENERATED = Sign(
    r"tool_use_failed", r"json_validate_failed", r"failed to (?:call a function|generate json)"
)
# An output bound over what the model writes is a bad parameter, not a long prompt.
OUTPUT_BOUND = Sign(r"max_(?:completion_|output_)?tokens[`'\"]? must be")
TOO_LONG = Sign(
    r"context.?(?:length|window|size)",
    r"maximum context",
    r"maximum (?:prompt|input) length",
    r"(?:prompt|input|request)\b.{0,60}(?:too long|exceeds? (?:the )?(?:max|limit|available|context))",
    r"token count\b.{0,40}exceeds",
    r"too many (?:input |prompt )?tokens",
    r"exceeds? the (?:available )?context",
    r"reduce the length",
    r"longer than the model",
    r"maximum model length",
    r"inputs`? must have less than",
    r"inputs`? tokens \+ `?max_new_tokens`? must be",
    r"range of input length should be",
    r"string_above_max_length",
    r"^1261$",
)
FILTERED = Sign(
    r"content.?filter",
    r"content.?policy",
    r"content management policy",
    r"responsibleai",
    r"moderation",
    r"safety (?:system|filter|setting|reason)",
    r"prohibited_content",
    r"blocked (?:by|due to)",
    r"\bflagged\b",
    r"data_inspection_failed",
)
TOKENS_PER_TIME = Sign(r"tokens per (?:minute|day|hour)", r"\b[io]?tp[mhd]\b")

# Errors inside a 200 name themselves instead of having a status.
NAMED_STATUS: tuple[tuple[int, Sign], ...] = (
    (429, Sign(r"rate.?limit", r"resource_exhausted", r"too.?many", r"quota", r"insufficient")),
    (401, Sign(r"authenticat", r"unauthori[sz]ed", r"invalid.?api.?key")),
    (403, Sign(r"permission", r"forbidden")),
    (404, Sign(r"not.?found")),
    (529, Sign(r"overloaded")),
    (503, Sign(r"unavailable", r"capacity", r"queue")),
    (504, Sign(r"time.?out", r"deadline")),
    (400, Sign(r"invalid", r"bad.?request", r"context", r"validat", r"content_filter", r"tool_use")),
)

_SIZE = r"(\d[\d,_]{2,9})"
CONTEXT_SIZES = tuple(
    Sign(pattern)
    for pattern in (
        rf"\d(?: tokens)? > {_SIZE}",
        (
            rf"context (?:length|window|size)(?: of this model| allowed| limit)?(?: is| of|:| \()\s*"
            rf"(?:only )?{_SIZE}"
        ),
        rf"exceeds? (?:the |its )?(?:available |model'?s? )?(?:max(?:imum)? )?context\D{{0,40}}{_SIZE}",
        rf"maximum number of tokens(?: allowed)?\D{{0,20}}{_SIZE}",
        rf"(?:maximum|max|limit)(?: \w+){{0,3}} (?:is|of|:) {_SIZE} tokens",
        rf"while (?:the )?limit is {_SIZE}",
        rf"with {_SIZE} maximum context",
        rf"tokens in the prompt cannot exceed {_SIZE}",
        rf"maximum (?:model|prompt|input) length (?:is|of) {_SIZE}",
        rf"must be <= {_SIZE}",
        rf"must have less than {_SIZE}",
        rf"input length should be \[\d+, ?{_SIZE}\]",
    )
)

_NAME = r"[`'\"“‘]?([A-Za-z_][\w.\[\]]{0,80})[`'\"”’]?"
# OpenAI's own fields, also as two words or in camel case, as xAI and others write them.
_SPELT = "|".join(
    re.escape(name).replace("_", "[ _]?") for name in sorted(DROPPABLE | BINDING - {PREFILL}, reverse=True)
)
_CANNOT = r"(?:not (?:currently |yet )?(?:supported|permitted|allowed|available)|unsupported)"

# Ways to say that a parameter is unknown there, or known and not taken.
PARAMETERS = tuple(
    Sign(pattern)
    for pattern in (
        rf"property {_NAME} is {_CANNOT}",
        rf"unknown name {_NAME}",
        rf"unrecognized (?:request )?(?:argument|parameter|field)s?(?: supplied)?:? {_NAME}",
        rf"(?:unknown|unsupported|unexpected|extra) (?:request )?(?:parameter|argument|field)s?:? {_NAME}",
        rf"(?:parameter|argument|field|property)s? {_NAME} (?:is|are) (?:not |un)",
        rf"additional propert(?:y|ies) {_NAME}",
        rf"unexpected keyword argument {_NAME}",
        rf"does not support (?:the )?(?:parameter )?[`'\"]?({_SPELT})\b",
        rf"does not support (?:the )?(?:parameter )?{_NAME}",
        rf"(?:parameter|argument|field)s? not supported\b[^:]{{0,40}}: {_NAME}",
        rf"{_NAME} (?:is|are) (?:currently )?{_CANNOT}",
        rf"{_NAME} is not enabled",
        rf"{_NAME} must be",
    )
)
# Signs that a value, or what a parameter stands beside, is refused, and not the parameter whatever it says.
VALUE = Sign(
    r"\bmust (?!be satisfied)",
    r"\bshould be\b",
    r"\b(?:invalid|unsupported|supported|allowed|permitted|valid|possible)[ _]values?\b",
    r"\b(?:between|at (?:most|least)|one of|in combination|together with|unless|when)\b",
    r"\b(?:less|greater|more|larger|smaller|higher|lower)[ _]than\b",
    r"\bout of (?:range|bounds)\b",
    r"\bonly (?:\w+ )?(?:if|with|for)\b",
    r"_(?:below|above)_(?:min|max)|^invalid_type$|^literal_error$|_parsing$",
)
UNKNOWN = Sign(r"^(?:unknown|unsupported|unrecognized)_(?:parameter|argument|field)$")
PLACE = Sign(r"\bat '([\w.\[\]]{1,200})'")
AT_MESSAGES = Sign(r"(?:\bat |['\"(])\s*'?messages\b")

# A refusal of "penalties" that does not say which.
PENALTIES = "penalties"
CAPABILITIES = (
    (
        PREFILL,
        Sign(
            r"assistant\b.{0,20}\bprefill",
            r"\bprefill(?:ing|ed)?\b.{0,20}\bassistant",
            r"\blast (?:message|role)\b.{0,60}\b(?:user|assistant)\b",
            r"\bend with (?:a|the) user\b",
        ),
    ),
    ("parallel_tool_calls", Sign(r"single tool.?calls? at once")),
    ("tools", Sign(r"tool choice requires", r"(?:not|n't) support (?:tool|function)", r"that support tool")),
    ("messages", Sign(r"(?:not|n't) support (?:image|vision|audio)", r"that support image")),
    ("response_format", Sign(r"(?:not|n't) support (?:json|structured|response)")),
    (PENALTIES, Sign(r"penalt(?:y|ies) (?:is|are) not")),
)
