import pytest

from freeroute.config.sources import MOST_BYTES, parse_env, parse_yaml, read_text
from freeroute.errors import ConfigError


def test_yaml_gives_the_plain_values_of_version_1_2():
    text = (
        "a: 1\nb: [true, yes, on, 12:30, 2026-01-01, 1.5, 1e3, ~, ]\nc: &x {q: '1'}\nd: {<<: *x, r: -2}\ne:"
    )
    assert parse_yaml(text, "f") == {
        "a": 1,
        "b": [True, "yes", "on", "12:30", "2026-01-01", 1.5, 1000.0, None],
        "c": {"q": "1"},
        "d": {"q": "1", "r": -2},
        "e": None,
    }


def test_an_empty_file_is_an_empty_mapping():
    assert parse_yaml("", "f") == {}
    assert parse_yaml("# nothing\n", "f") == {}


def _bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: 1\nb: 2\na: 3", "f:3: `a` is given twice"),
        ("a: {b: 1, b: 2}", "f:1: `b` is given twice"),
        ("- 1", "f: expected a mapping such as `providers:` at the top"),
        ("? [a]\n: b", "f:1: a field name must be text"),
        ("a: &a [*a]", "f:1: an anchor contains itself"),
        ("a: *zz", "f:1: found undefined alias"),
        ("a: !!python/object:os.system x",
         "f:1: tags such as tag:yaml.org,2002:python/object:os.system are not accepted"),
        ("a: !!timestamp 2020-01-01", "f:1: tags such as tag:yaml.org,2002:timestamp are not accepted"),
        ("a: !secret x", "f:1: tags such as !secret are not accepted"),
        ("a: !!bool x", "f: is not valid YAML"),
        ("a: !!int x", "f: is not valid YAML"),
        ("a: 1\n---\nb: 2", "f:2: but found another document"),
        ("a: [1,\nb: }", "f:2: did not find expected node content"),
        ("a: \x07", "f: is not valid YAML"),
        ("a: " + "[" * 41 + "]" * 41, "f:1: is nested more than 40 levels deep"),
        ("a: " + "[" * 900 + "]" * 900, "f:1: is nested more than 40 levels deep"),
        (_bomb(), "f:5: holds more than 50000 values"),
    ],
)  # fmt: skip
def test_bad_yaml_is_refused_with_its_line(text, error):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "f")
    assert str(caught.value) == error


def test_an_error_repeats_nothing_that_was_quoted():
    with pytest.raises(ConfigError) as caught:
        parse_yaml("keys: ['sk-secret\n", "f")
    assert "sk-secret" not in str(caught.value)


def test_a_file_is_read_within_bounds(tmp_path):
    good = tmp_path / "good"
    good.write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_text(good, "good") == "a: 1"
    big, binary = tmp_path / "big", tmp_path / "binary"
    big.write_bytes(b"#" * (MOST_BYTES + 1))
    binary.write_bytes(b"a: \xff")
    for path, error in (
        (big, "it: is larger than 1 MiB"),
        (binary, "it: is not UTF-8 text (byte 3)"),
        (tmp_path / "none", "it: cannot be read: No such file or directory"),
        (tmp_path, "it: cannot be read: Is a directory"),
    ):
        with pytest.raises(ConfigError) as caught:
            read_text(path, "it")
        assert str(caught.value) == error


def test_an_env_file_takes_comments_export_and_both_quotes():
    text = '# keys\nA=1\n\nexport B=\'q # z\' # why\nC="a\\n\\"b\\"" \nD = x # hi\nE=\nF=a#b\nA=2\nG=#none\n'
    assert parse_env(text, ".env") == {
        "A": "2",
        "B": "q # z",
        "C": 'a\n"b"',
        "D": "x",
        "E": "",
        "F": "a#b",
        "G": "",
    }


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("A=1\nsk-secret", ".env:2: expected NAME=value"),
        ("1A=x", ".env:1: expected NAME=value"),
        ("A='sk-secret", ".env:1: A: the quotes do not match"),
        ("A='x' y", ".env:1: A: the quotes do not match"),
    ],
)
def test_a_bad_env_line_is_named_without_its_value(text, error):
    with pytest.raises(ConfigError) as caught:
        parse_env(text, ".env")
    assert str(caught.value) == error
