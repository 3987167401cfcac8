"""Where one text ends and the next begins: what a model repeats is found, and nothing else."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeroute.wire.splicing import LONGEST, Diverged, Seam

TOLD = "The quick brown fox jumps"
GIVEN = ["trailing_assistant", "prefix_flag", "continue_final_message"]


def joined(seam: Seam, *texts: str) -> str:
    return "".join([*map(seam.feed, texts), seam.end()])


def outcome(seam: Seam, *texts: str) -> str | None:
    try:
        return joined(seam, *texts)
    except Diverged:
        return None


@pytest.mark.parametrize("how", GIVEN)
def test_what_follows_the_given_beginning_is_new(how):
    assert joined(Seam(TOLD, how), " over", " the dog") == " over the dog"


@pytest.mark.parametrize("how", GIVEN)
def test_a_repeated_beginning_is_taken_off(how):
    assert joined(Seam(TOLD, how), "The quick ", "brown fox jumps over") == " over"


@pytest.mark.parametrize("how", GIVEN)
def test_what_only_looks_like_a_repeat_is_told(how):
    assert joined(Seam(TOLD, how), " The quick", " snail") == " The quick snail"
    assert joined(Seam(TOLD, how), "The") == "The"


@pytest.mark.parametrize("how", GIVEN)
@pytest.mark.parametrize(
    ("before", "whole"),
    [
        ("Hello ", "Hello world"),
        ("def add(a, b):\n", "def add(a, b):\n    return a + b"),
        ("The quick bro", "The quick brown fox"),
        ("The fox jumps over\n", "The fox jumps over\nthe dog"),
        (" Hello there my", " Hello there my friend"),
        ("\n\nHello", "\n\nHello world"),
        ("    call()\n", "    call()\n    y()\n"),
        ("    if x:\n        y()\nfor", "    if x:\n        y()\nfor z"),
        ("Привет", "Привет, мир"),
        ("We will, we will rock you! ", "We will, we will rock you! Sing it"),
        ("Hello world", "Hello world"),
        ("tick tock tick", "tick tock tick tock"),
    ],
)
def test_an_answer_begun_anew_loses_what_was_told_however_short(how, before, whole):
    for parts in ([whole], list(whole)):
        assert before + joined(Seam(before, how), *parts) == whole


@pytest.mark.parametrize("how", GIVEN)
@pytest.mark.parametrize(
    ("before", "anew", "whole"),
    [
        (" Hello there my", "Hello there my friend", " Hello there my friend"),
        ("\n\nHello there", "Hello there friend", "\n\nHello there friend"),
        ("Hello there my", " Hello there my friend", "Hello there my friend"),
        ("Hello there", "\n\nHello there friend", "Hello there friend"),
    ],
)
def test_blanks_before_an_answer_begun_anew_may_be_others(how, before, anew, whole):
    for parts in ([anew], list(anew)):
        assert before + joined(Seam(before, how), *parts) == whole


@pytest.mark.parametrize("how", ["trailing_assistant", "continue_final_message"])
@pytest.mark.parametrize(
    ("before", "whole"),
    [
        ("谢", "谢谢你的问题"),
        ("哈哈", "哈哈哈哈,好"),
        ("慢慢", "慢慢慢慢来"),
        ("감사합", "감사합감사합"),
        ("红红火火恍恍惚惚。", "红红火火恍恍惚惚。红红火火恍恍惚惚。完。"),
        ("#", "## Title\ntext"),
        ("*", "**bold** text"),
        ("-", "--- \ntitle: x"),
        (">", ">>> print(1)"),
        ("`", "```py\nx=1\n```"),
        ("{", "{{ name }} is"),
        ('"', '""" doc """'),
        ("_", "__init__ is"),
        ("/", "// comment"),
        ("(", "((a+b)*c)"),
        ("[", "[[1,2],[3]]"),
        ("=", "== yes"),
        (".", "... well"),
        ("<", "<<EOF"),
        ("0", "000123"),
        ("1", "11 is prime"),
        ("01", "0101010"),
        ("42", "4242"),
        ("0,", "0,0,0\n1"),
        ("-" * 40, "-" * 66 + "\n"),
        ("ACGT", "ACGTACGTAC"),
        ("A", "AAA battery"),
        ("la", "lala land"),
        ("😀😀", "😀😀😀😀 yes"),
        ("the ", "the the band"),
        ("Row, row, row your boat\n", "Row, row, row your boat\nRow, row, row your boat\nGently"),
        ("\n- an item on it\n", "\n- an item on it\n- an item on top"),
        ("x = 1\n", "x = 1\nx = 1\ny = 2\n"),
        ("0123456789abcdef\n", "0123456789abcdef\n0123456789abcdef\nend"),
        ("All work and no play makes Jack a dull boy.", "All work and no play makes Jack a dull boy.\n" * 5),
        (
            "All work and no play makes Jack a dull boy.\n" * 3,
            "All work and no play makes Jack a dull boy.\n" * 9,
        ),
        ("ha ha ha ha ha ha ha", "ha " * 20),
        ("haha", "ha" * 20),
        ("ha " * 40, "ha " * 90),
        ("x" * 100, "x" * 300),
        ("The", "The The were a band"),
        ("ab" * 5000, "ab" * 20_000),
    ],
)
def test_what_a_model_repeats_on_purpose_is_told(how, before, whole):
    after = whole[len(before.rstrip()) :]  # as it goes on from what it was given
    for parts in ([after], list(after)):
        assert before + joined(Seam(before, how), *parts) == whole


@pytest.mark.parametrize("how", GIVEN)
def test_a_long_text_repeated_behind_a_blank_is_one_begun_anew(how):
    before = "Mary had a little lamb, its fleece was white as snow, and everywhere"
    assert joined(Seam(before, how), "\n\n" + before, " that") == " that"


@pytest.mark.parametrize("before", ["1", "#", "**", "谢"])
def test_a_provider_that_always_repeats_may_do_so_however_short_the_text_is(before):
    assert joined(Seam(before, "prefix_flag"), before + "0") == "0"


@pytest.mark.parametrize("how", GIVEN)
@pytest.mark.parametrize(
    ("before", "other"),
    [
        (
            "Photosynthesis is the process by which green plants live",
            "Photosynthesis is the process by which",
        ),
        ("Photosynthesis is the process by which green", "Photosynthesis is the way of plants"),
        (
            "光合作用是绿色植物利用光能将二氧化碳和水转化为有机物的过程",
            "光合作用是绿色植物利用光能将二氧化碳和水转化为有机物并放出氧",
        ),
        (TOLD, "The quick brown dog"),
        (TOLD, "The quick brown"),
        ("  " + TOLD, "  The quick brown dog"),
    ],
)
def test_an_answer_begun_anew_in_other_words_is_another_one(how, before, other):
    for parts in ([other], list(other)):
        with pytest.raises(Diverged):
            joined(Seam(before, how), *parts)


@pytest.mark.parametrize("how", ["trailing_assistant", "continue_final_message"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (TOLD, "The quick red fox"),
        (TOLD, "The quick brownie"),
        (TOLD, "the quick brown dog"),
        (TOLD, " The quick brown dog"),
        (TOLD, "fox jumps"),
        ("-" * 40, "-" * 30 + "\n"),
        ("ha ha ha ha ho", "ha ha ha ha he"),
        ("The answer is", "Sure! The answer is 42."),
    ],
)
def test_what_begins_alike_by_chance_is_told(how, before, after):
    for parts in ([after], list(after)):
        assert joined(Seam(before, how), *parts) == after


def test_a_provider_that_always_repeats_may_do_so_behind_a_blank():
    assert joined(Seam("Hello", "prefix_flag"), " Hello world") == " world"


def test_the_search_for_a_rhythm_is_short_however_long_the_text_is():
    before = "a" * (LONGEST - 1) + "b"
    assert joined(Seam(before, "trailing_assistant"), before, "c") == "c"


@pytest.mark.parametrize(
    ("before", "texts", "rest"),
    [
        ("one ", ["two"], "two"),  # the model was not given the blank, and left it out
        ("one ", [" two"], "two"),  # or says it again
        ("one\n\n", ["\n", "\n- two"], "- two"),
        ("one\n", ["\n\n    two"], "\n    two"),
        ("one \n", [" two"], "two"),
        ("one", [" two"], " two"),
        (" \n", [" \n", "two"], "two"),
    ],
)
def test_blanks_at_the_seam_are_told_once(before, texts, rest):
    assert joined(Seam(before, "trailing_assistant"), *texts) == rest


def test_an_answer_that_begins_anew_must_say_what_was_told_first():
    assert joined(Seam(TOLD, "none"), " The quick brown ", "fox jumps", " over") == " over"
    with pytest.raises(Diverged):
        joined(Seam(TOLD, "none"), "The quick brown", " dog")


def test_an_answer_that_begins_anew_and_ends_early_is_another_one():
    with pytest.raises(Diverged):
        joined(Seam(TOLD, "none"), "The quick")
    assert joined(Seam("one \n", "none"), "one") == ""


def test_after_nothing_but_blanks_an_answer_begins_as_it_likes():
    assert joined(Seam("", "none"), " one") == " one"
    assert joined(Seam("\n", "none"), "\none") == "one"
    assert joined(Seam("", "prefix_flag"), " one") == " one"


@given(st.text(), st.text(), st.lists(st.integers(0, 60)))
def test_a_replay_cut_anywhere_gives_the_rest_and_nothing_before_it_is_verified(before, after, cuts):
    seam, whole = Seam(before, "none"), before + after
    points = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    heard, new = "", ""
    for start, end in pairwise(points):
        heard += whole[start:end]
        new += seam.feed(whole[start:end])
        assert not (new and before.strip() and len(heard) < len(before))
    if len(heard) >= len(before):
        new += seam.end()
    assert new == after or not before.strip()


@given(st.sampled_from(GIVEN), st.text("ab \n", max_size=40), st.text("ab \n", max_size=60), st.data())
def test_it_does_not_matter_where_the_next_text_is_cut(how, before, after, data):
    cuts = data.draw(st.lists(st.integers(0, len(after))))
    points = sorted({0, len(after), *cuts})
    parts = [after[start:end] for start, end in pairwise(points)]
    assert outcome(Seam(before, how), *parts) == outcome(Seam(before, how), after)
    for text in (after, before + after, before.rstrip() + after):
        assert text.endswith(outcome(Seam(before, how), text) or "")
