"""Why answers ended, in the words of every dialect."""

import pytest

from freeroute.wire.finishes import FINISHES, finish_of, is_failure


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        *((word, word) for word in sorted(FINISHES)),
        ("eos", "stop"),
        ("COMPLETE", "stop"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("ERROR_LIMIT", "length"),
        ("FINISH_REASON_MAX_TOKENS", "length"),
        ("tool-calls", "tool_calls"),
        ("SAFETY", "content_filter"),
        ("content_filtered", "content_filter"),
        ("ERROR_TOXIC", "content_filter"),
        ("content_filter: PROHIBITED_CONTENT", "content_filter"),
        ("a word that nobody knows", "stop"),
    ],
)
def test_a_finish_means_the_same_in_openais_words(told: str, meant: str):
    assert finish_of(told) == meant
    assert not is_failure(told)


@pytest.mark.parametrize(
    "told",
    [
        *(
            "error",
            "ERROR_INTERNAL",
            "error: boom",
            "timeout",
            "cancelled",
            "USER_CANCEL",
            "OTHER",
            "unknown",
        ),
        *("FINISH_REASON_UNSPECIFIED", "network_error", "abort", "MALFORMED_FUNCTION_CALL", "not finished"),
    ],
)
def test_what_was_given_up_did_not_end(told: str):
    assert is_failure(told)
