"""Forms, cut and put together again."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.errors import InvalidRequest
from freeroute.wire.multipart import LONGEST_TEXT, MOST_PARTS, form_of

KIND = "multipart/form-data; boundary=xyz"


def written(*parts: tuple[str, bytes], boundary: bytes = b"xyz") -> bytes:
    lead = b"--" + boundary + b"\r\ncontent-disposition: form-data; "
    pieces = [lead + head.encode() + b"\r\n\r\n" + value + b"\r\n" for head, value in parts]
    return b"".join(pieces) + b"--" + boundary + b"--\r\n"


values = st.binary(max_size=200).filter(lambda value: b"--xyz" not in b"\r\n" + value)
names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)


@given(st.lists(st.tuples(names, values), max_size=8), st.binary(max_size=50), st.binary(max_size=50))
def test_what_is_put_together_again_is_what_came(fields, before, after):
    before = before.replace(b"--xyz", b"")
    lead = before + b"\r\n" if before else b""
    body = lead + written(*((f'name="{name}"', value) for name, value in fields)) + after
    form = form_of(KIND, body)
    assert [(part.name, bytes(part.value)) for part in form.parts] == fields
    assert form.written({}) == written(*((f'name="{name}"', value) for name, value in fields))


@given(st.binary(max_size=300))
def test_any_body_is_a_form_or_refused(body):
    with contextlib.suppress(InvalidRequest):
        form_of(KIND, body)


def test_parts_are_replaced_and_left_out_and_files_stay():
    body = written(('name="model"', b"a"), ('name="file"; filename="x.wav"', b"\x00\xff"), ('name="p"', b"q"))
    form = form_of(KIND, body)
    assert form.texts == {"model": "a", "p": "q"}
    assert form.written({"model": b"bb"}, {"p"}) == written(
        ('name="model"', b"bb"), ('name="file"; filename="x.wav"', b"\x00\xff")
    )
    assert form.content_type == b'multipart/form-data; boundary="xyz"'


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ('multipart/form-data; boundary="x y"', b"x y"),
        ("Multipart/Form-Data; charset=utf-8; BOUNDARY=----x'()+_,-./:=?", b"----x'()+_,-./:=?"),
    ],
)
def test_a_boundary_may_be_any_that_is_allowed(kind, boundary):
    body = written(('NAME=a; x="y"', b"1"), boundary=boundary)
    assert form_of(kind, body).texts == {"a": "1"}


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        (None, b"", "Content-Type multipart/form-data"),
        ("application/json", b"{}", "Content-Type multipart/form-data"),
        ("multipart/form-data", b"", "names no boundary"),
        (KIND, b"", "its boundary is not in it"),
        (KIND, b"--xyz and more\r\n", "not alone on its line"),
        (KIND, b"--xyz\r\n", "the head of a part does not end"),
        (KIND, b"--xyz\r\nfoo: bar\r\n\r\n1\r\n--xyz--", "a part has no name"),
        (KIND, b'--xyz\r\ncontent-disposition: form-data; name="a"\r\n\r\n1', "its last boundary is missing"),
        (KIND, written(*[('name="a"', b"")] * (MOST_PARTS + 1)), f"more than {MOST_PARTS} parts"),
    ],
)
def test_what_is_no_form_is_told(kind, body, told):
    with pytest.raises(InvalidRequest, match=told):
        form_of(kind, body)


@pytest.mark.parametrize("value", [b"\xff", b"x" * (LONGEST_TEXT + 1)])
def test_a_text_that_is_none_is_told(value):
    with pytest.raises(InvalidRequest, match="a: "):
        _ = form_of(KIND, written(('name="a"', value))).texts
