"""What a gateway tells of itself to those who watch it."""

from typing import Any

GATEWAY = "http://127.0.0.1:3000"
NOW = 1_790_000_000.0
POOL = {
    "id": "p",
    "label": "requests/day",
    "model": None,
    "used": 5,
    "limit": 10,
    "resets_at": NOW + 3 * 3600,
}
PROVIDER: dict[str, Any] = {
    "id": "groq",
    "name": "Groq",
    "state": "healthy",
    "breaker": {"state": "closed", "until": None},
    "served": 5,
    "failed": 1,
    "last_error": {"at": NOW - 60, "kind": "fault", "detail": "HTTP 503", "model": "m"},
    "latency": {"first_event_p50": 0.2, "total_p50": 0.9},
    "pools": [{**POOL, "label": "tokens/minute", "used": 1}, POOL, {**POOL, "label": "nothing", "limit": 0}],
}
REQUEST = {
    "at": NOW - 2,
    "client": "alice",
    "model": "free-fast",
    "provider": "groq",
    "served_model": "m",
    "status": 200,
    "code": None,
    "attempts": [{"provider": "cerebras", "kind": "fault"}, {"provider": "groq", "kind": "served"}],
    "first_event_ms": 210,
    "total_ms": 900,
    "tokens": {"prompt": 10, "completion": 2000},
}
TOLD: dict[str, Any] = {
    "version": "1.2.3",
    "now": NOW,
    "uptime": 7200.0,
    "demo": False,
    "maintenance": None,
    "totals": {"requests": 1234, "served": 1200, "failed": 34, "tokens": 56789},
    "providers": [PROVIDER],
    "requests": [REQUEST],
}
