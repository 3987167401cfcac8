"""Calls that are not for chat, in the gateway: names, lengths, streams of bytes."""

import pytest
from msgspec import structs

from freeroute.domain.catalogue import MetaModel
from freeroute.domain.clients import Client, hash_key
from freeroute.domain.outcome import Kind
from freeroute.domain.tasks import Task
from freeroute.domain.usage import Usage
from freeroute.engine.ports import Answer, Sent
from freeroute.errors import (
    ContextTooLong,
    Forbidden,
    InvalidRequest,
    NotFound,
    UnsupportedCapability,
    UpstreamFailed,
)
from freeroute.wire.splicing import spliceable
from tests.support.world import PER_MINUTE, World, call, model, provider, read, streamed

VECTORS = ("embeddings",)
EMBED = {"task": Task.EMBEDDINGS}


def maker(name="v", **facts):
    return model(name, capabilities=facts.pop("capabilities", VECTORS), **facts)


async def test_a_model_of_one_family_is_asked_wherever_it_is():
    world = World(
        provider("a", maker()), provider("b", maker()), provider("c"), a=[Kind.FAULT], b=[Kind.FAULT]
    )
    await world.fails(UpstreamFailed, "v", **EMBED)
    assert set(world.upstream.providers_asked) == {"a", "b"}
    assert world.receipts.last.like.task is Task.EMBEDDINGS


@pytest.mark.parametrize(("name", "models"), [("free", ()), ("v", ("w",))])
async def test_several_models_are_refused_as_their_vectors_cannot_be_compared(name, models):
    world = World(provider("a", maker("v"), maker("w")))
    error = await world.fails(InvalidRequest, name, models=models, **EMBED)
    assert error.message.endswith("name one of v, w.")


async def test_of_many_that_could_be_named_some_are():
    world = World(provider("a", *(maker(f"v{number:02}") for number in range(15))))
    error = await world.fails(NotFound, "vxx", **EMBED)
    assert error.message.endswith("; there is " + ", ".join(f"v{n:02}" for n in range(12)) + " and 3 more")


async def test_a_client_may_not_ask_for_what_is_not_on_its_list():
    world = World(provider("a", maker()))
    alice = Client("alice", hash_key("k"), models=("free",))
    with pytest.raises(Forbidden):
        await world.ask("v", context=world.context(client=alice), **EMBED)


async def test_where_no_model_is_named_the_first_is_asked_that_the_client_may_use():
    judges = [model(name, capabilities=("moderation",)) for name in ("m1", "m2")]
    world = World(provider("a", model("chats"), *judges))
    for client, name in (
        (None, "m1"),
        (Client("alice", hash_key("k"), models=("m2",)), "m2"),
    ):
        await read(await world.ask("", context=world.context(client=client), task=Task.MODERATION))
        assert (world.receipts.last.like.asked, world.upstream.asked[-1]) == (name, f"a/{name}#k1")
    nobody = Client("bob", hash_key("k"), models=("free",))
    with pytest.raises(Forbidden, match="'m1'"):
        await world.ask("", context=world.context(client=nobody), task=Task.MODERATION)


async def test_who_would_do_it_is_told_where_nobody_does():
    world = World(provider("a"))
    world.gateway.offers = {"embeddings": ("gemini", "mistral")}
    error = await world.fails(NotFound, "v", **EMBED)
    assert "switch on gemini or mistral, or give a model" in error.message
    error = await world.fails(NotFound, "v", task=Task.SPEECH)
    assert "does speech: give a model of a provider `capabilities: [speech]`" in error.message


async def test_vectors_are_as_long_as_those_of_the_first():
    world = World(
        provider("a", maker()), provider("b", maker(dimensions=3)), provider("c", maker(dimensions=2))
    )
    world.upstream.scripts = {name: [Kind.FAULT] for name in "abc"}
    await world.fails(UpstreamFailed, "v", **EMBED)
    assert set(world.upstream.providers_asked) == {"a", "b"}


async def test_a_length_is_asked_of_those_that_can_be_told():
    world = World(provider("a", maker()), provider("b", maker(capabilities=("embeddings", "dimensions"))))
    await world.ask("v", dimensions=8, **EMBED)
    assert world.upstream.providers_asked == ["b"]
    await world.fails(UnsupportedCapability, "a/v", dimensions=8, **EMBED)


async def test_many_texts_may_be_longer_together_than_each_of_them_may_be():
    world = World(provider("a", maker(context=100)))
    await world.ask("v", prompt=5000, inputs=100, **EMBED)
    await world.fails(ContextTooLong, "v", prompt=500_000, inputs=100, **EMBED)


async def test_how_many_texts_may_be_sent_is_what_all_take():
    world = World(
        provider("a", maker(max_inputs=5)), provider("b", maker(max_inputs=3)), provider("c", maker())
    )
    assert world.gateway.most_inputs("v") == 3
    assert world.gateway.most_inputs("c/v") is None
    assert world.gateway.most_inputs("nobody") is None


async def test_no_more_texts_may_be_sent_than_an_answer_has_room_for_vectors():
    long = maker(max_inputs=500, dimensions=3072)
    world = World(provider("a", long), provider("b", maker(dimensions=1024)))
    assert world.gateway.most_inputs("a/v") == 341
    assert world.gateway.most_inputs("b/v") == 1024


async def test_a_name_completes_if_all_that_it_stands_for_do():
    completes = maker(capabilities=("completions",))
    world = World(provider("a", completes), provider("b", completes), provider("c", maker()))
    assert world.gateway.completes("a/v")
    assert not world.gateway.completes("v")
    assert not world.gateway.completes("nobody")


async def test_the_plan_of_a_model_that_does_not_talk_is_for_what_it_does():
    world = World(provider("a", maker()), metas=(MetaModel("none", "free", ("b/*",)),))
    assert [line["usable"] for line in world.gateway.plan("v", None)["candidates"]] == [True]
    assert world.gateway.plan("none", None)["candidates"] == []


async def test_what_is_no_chat_is_not_taken_down():
    class Kept:
        def begin(self, call, context):
            raise AssertionError("nothing to take down")

        def keep(self, receipt, transcript):
            raise AssertionError("nothing to keep")

    world = World(provider("a", maker()))
    world.gateway.keep_contents(Kept())
    await world.ask("v", **EMBED)


async def test_an_answer_may_be_of_another_type():
    world = World(provider("a", maker(capabilities=("transcription",))))
    sent = Sent(
        structs.replace(streamed().outcome), answer=Answer(b"Hi", Usage(1), content_type="text/plain")
    )
    world.upstream.scripts["a"] = [sent]
    served = await world.ask("v", task=Task.TRANSCRIPTION)
    assert (served.body, served.content_type, served.cut) == (b"Hi", "text/plain", False)


@pytest.mark.parametrize(("ending", "cut"), [(Kind.SERVED, False), (Kind.TRUNCATED, True)])
async def test_a_stream_of_bytes_says_nothing_of_its_end(ending, cut):
    world = World(provider("a", maker(capabilities=("speech",))))
    sent = structs.replace(streamed([b"RIFF"], ending=ending), content_type="audio/mpeg")
    world.upstream.scripts["a"] = [sent]
    served = await world.gateway.chat(call("v", task=Task.SPEECH, stream=True), world.context())
    assert await read(served) == [b"RIFF"]
    assert (served.content_type, served.cut) == ("audio/mpeg", cut)
    await served.finish()
    assert world.receipts.last.like.code == (ending.value if cut else None)


async def test_a_picture_is_waited_for_longer():
    world = World(provider("a", maker(capabilities=("image_output",))))
    await world.ask("v", task=Task.IMAGE, max_output=0)
    assert world.upstream.terms[-1].first_event >= 120


async def test_room_for_calls_is_room_for_chat():
    world = World(provider("a", maker(limits=(PER_MINUTE,)), model("m", limits=(PER_MINUTE,))))
    [told] = world.gateway.status()["providers"]
    assert told["capacity"]["now"] == PER_MINUTE.amount


@pytest.mark.parametrize(
    ("capabilities", "takes", "gives", "parameters"),
    [
        (("embeddings", "dimensions"), ["text"], ["embeddings"], ["dimensions"]),
        (("transcription",), ["audio"], ["transcription"], []),
        (("image_output", "images"), ["text", "image"], ["image"], []),
        (("transcription", "chat"), ["text", "audio"], ["text", "transcription"], None),
    ],
)
async def test_the_list_of_models_says_what_each_is_for(capabilities, takes, gives, parameters):
    world = World(provider("a", maker(capabilities=capabilities)))
    told = world.gateway.model("a/v", None)
    assert told["architecture"] == {"input_modalities": takes, "output_modalities": gives}
    assert parameters is None or told["supported_parameters"] == parameters


def test_nobody_goes_on_with_what_is_no_chat():
    assert spliceable(call(stream=True))
    assert not spliceable(call(stream=True, task=Task.COMPLETIONS))
