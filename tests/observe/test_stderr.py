"""Lines of the log on their way out: none is lost, none overtakes another, and nobody is held up."""

import asyncio
import contextlib
import io
import os
import threading

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from freeroute.observe.logs import set_up
from freeroute.observe.stderr import MOST, STDERR, TOGETHER, Stderr
from tests.support.virtual import run


class Written(io.StringIO):
    """Standard error that remembers what was written at once."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        self.pieces.append(text)
        return super().write(text)


@contextlib.contextmanager
def written():
    """Let standard error be in memory."""
    with contextlib.redirect_stderr(Written()) as stream:
        yield stream


@contextlib.contextmanager
def piped():
    """Let standard error be a pipe, and give the end to read from."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb", 0) as source, os.fdopen(writing, "w", encoding="utf-8") as stream:
        with contextlib.redirect_stderr(stream):
            yield source
        with contextlib.suppress(BrokenPipeError):
            stream.close()


def test_where_no_loop_runs_a_line_leaves_at_once():
    with written() as stream:
        out = Stderr()
        out.msg("one")
        out.error("two")
    assert stream.pieces == ["one\n", "two\n"]


def test_lines_of_a_loop_leave_together_after_a_moment():
    async def main():
        out = Stderr()
        with written() as stream, out.together():
            out.msg("one")
            await asyncio.sleep(TOGETHER / 2)
            out.msg("two")
            assert stream.pieces == []
            await asyncio.sleep(TOGETHER)
            assert stream.pieces == ["one\ntwo\n"]
            out.msg("three")
            await asyncio.sleep(2 * TOGETHER)
            assert stream.pieces == ["one\ntwo\n", "three\n"]

    run(main())


@pytest.mark.parametrize("tell", [Stderr.error, Stderr.critical, lambda out, line: out.write(f"{line}\n")])
def test_an_error_and_what_libraries_tell_leave_at_once_behind_those_before(tell):
    async def main():
        out = Stderr()
        with written() as stream, out.together():
            out.msg("one")
            tell(out, "two")
            assert stream.pieces == ["one\ntwo\n"]

    run(main())


def test_many_lines_do_not_wait_for_the_moment():
    async def main():
        out = Stderr()
        with written() as stream, out.together():
            for _ in range(2 * MOST // 64):
                out.msg("x" * 64)
            assert len(stream.getvalue()) >= MOST

    run(main())


def test_at_the_end_all_have_left_whatever_ends_it():
    async def main():
        with out.together():
            out.msg("one")
            raise LookupError

    out = Stderr()
    with written() as stream:
        with pytest.raises(LookupError):
            run(main())
        out.msg("two")
    assert stream.pieces == ["one\n", "two\n"]


def test_a_line_of_another_thread_leaves_at_once_behind_those_before():
    async def main():
        out = Stderr()
        with written() as stream, out.together():
            out.msg("one")
            thread = threading.Thread(target=out.msg, args=["two"])
            thread.start()
            thread.join()
            assert stream.pieces == ["one\ntwo\n"]

    run(main())


def test_lines_of_many_threads_are_all_written_in_the_order_of_each():
    async def main():
        def tell(name):
            for number in range(count):
                out.msg(f"{name} {number}")

        with out.together():
            threads = [threading.Thread(target=tell, args=[name]) for name in "abc"]
            for thread in threads:
                thread.start()
            tell("d")
            for thread in threads:
                thread.join()

    out, count = Stderr(), 500
    with written() as stream:
        run(main())
    lines = stream.getvalue().splitlines()
    for name in "abcd":
        assert [line for line in lines if line[0] == name] == [f"{name} {number}" for number in range(count)]


def test_a_reader_that_reads_no_more_holds_nobody_up_and_is_told_that_lines_are_missing():
    async def main(source):
        with STDERR.together():
            for number in range(count):
                STDERR.msg(f"{number:063}")
            await asyncio.sleep(1.0)
            told = b""
            while not told.endswith(b"}\n"):
                told += source.read(2**16) or b""
                await asyncio.sleep(TOGETHER)
        return told.decode().splitlines()

    count = 4 * MOST // 64
    set_up("json", "info")
    try:
        with piped() as source:
            *lines, last = run(main(source))
    finally:
        structlog.reset_defaults()
    assert lines == [f"{number:063}" for number in range(len(lines))]
    assert f'"event":"lines are missing: nobody read them","lines":{count - len(lines)}}}' in last


def test_whoever_reads_no_more_does_not_hold_up_the_end():
    async def main():
        out = Stderr()
        with out.together():
            for _ in range(4 * MOST // 64):
                out.msg("x" * 63)

    with piped():
        run(main())


@given(st.lists(st.text(alphabet="aä€😀", max_size=3000), min_size=1, max_size=30))
def test_lines_come_whole_through_a_pipe_that_is_read_slowly(lines):
    async def main(source):
        out, told = Stderr(), b""
        with out.together():
            for line in lines:
                out.msg(line)
                await asyncio.sleep(TOGETHER)
            while told.count(b"\n") < len(lines):
                told += source.read(5000) or b""
                await asyncio.sleep(TOGETHER)
        return told.decode()

    with piped() as source:
        assert run(main(source)) == "".join(f"{line}\n" for line in lines)


def test_a_reader_that_hung_up_fails_nobody():
    async def main(source):
        out = Stderr()
        with out.together():
            source.close()
            out.msg("one")
            await asyncio.sleep(2 * TOGETHER)
            out.error("two")

    with piped() as source:
        run(main(source))
