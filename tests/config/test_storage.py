"""What of requests is stored: nothing that was not asked for, and nothing that could not be."""

import pytest

from freeroute.config.load import Overrides, load
from freeroute.errors import ConfigError


def storage(directory, text):
    (directory / "freeroute.yaml").write_text(f"storage: {text}")
    return load(Overrides(), {}, directory, directory).storage


def test_prompts_and_answers_are_not_stored_unless_that_is_said(tmp_path):
    assert storage(tmp_path, "{}").bodies is None
    assert storage(tmp_path, "{bodies: null}").bodies is None
    by_itself = storage(tmp_path, "{bodies: {}}").bodies
    assert by_itself is not None
    assert (by_itself.keep, by_itself.max_size, by_itself.longest, by_itself.clients) == (
        *(7 * 86400, 2**28, 2**16, None),
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("7d", "storage.bodies: expected mapping or nothing, got str"),
        ("{keeps: 1d}", "storage.bodies.keeps: unknown field; did you mean `keep`?"),
        ("{keep: 5s}", "storage.bodies: keep must be a minute or more; without `bodies` no prompt is stored"),
        ("{max_size: 9}", "storage.bodies: max_size must be 1MiB or more"),
        ("{longest: 2MiB}", "storage.bodies: longest must be between 1B and 1MiB"),
        ("{}, keep: 1d", "storage: bodies.keep is longer than keep: they go with their receipts"),
        ("{}, records: false", "storage: bodies are stored with receipts: `records: false` stores neither"),
    ],
)
def test_what_could_not_be_kept_to_is_refused(tmp_path, text, error):
    with pytest.raises(ConfigError) as caught:
        storage(tmp_path, f"{{bodies: {text}}}")
    assert str(caught.value).removeprefix("freeroute.yaml: ") == error
