"""Local servers are found while the gateway runs, and stay when they fall silent."""

import httpx
import respx
from msgspec import structs

from freeroute.config.assembly import SwitchedOn
from freeroute.domain.catalogue import Key, Provider
from freeroute.local_servers import LocalServers, Wanted
from tests.support.world import World, provider

HOME = "http://127.0.0.1:11434"
OLLAMA = Provider(id="ollama", name="Ollama", base_url=f"{HOME}/v1", engine="ollama")


def answering(router: respx.MockRouter, *models: str) -> None:
    router.get("/api/version").respond(json={"version": "0.9.0"})
    router.get("/api/tags").respond(json={"models": [{"name": name, "model": name} for name in models]})
    router.get("/api/ps").respond(json={"models": []})
    router.route(name="anything else").respond(404)


async def test_a_server_is_found_with_its_models_and_follows_them():
    world, told = World(provider("a")), list[SwitchedOn]()
    local = LocalServers(world.gateway, told.append)
    wanted = Wanted(servers=(OLLAMA,), own_port=3000)
    with respx.mock(base_url=HOME, assert_all_called=False) as router:
        answering(router, "llama3.2:3b")
        await local.look(wanted)
        assert set(world.gateway.catalogue.providers) == {"a", "ollama"}
        assert [line.provider for line in told] == ["ollama"]
        answering(router, "llama3.2:3b", "gemma3:1b")
        await local.look(wanted)
    assert {model.id for model in local.found()["ollama"].models} == {"llama3.2:3b", "gemma3:1b"}
    assert len(told) == 1


async def test_a_server_that_falls_silent_stays_and_nothing_is_forgotten():
    world = World(provider("a"))
    local = LocalServers(world.gateway, lambda line: None)
    wanted = Wanted(servers=(OLLAMA,), own_port=3000)
    with respx.mock(base_url=HOME, assert_all_called=False) as router:
        answering(router, "llama3.2:3b")
        await local.look(wanted)
    before = world.gateway.catalogue
    with respx.mock(base_url=HOME, assert_all_called=False) as router:
        router.route().mock(side_effect=httpx.ConnectError("refused"))
        await local.look(wanted)
    assert world.gateway.catalogue is before


async def test_what_was_found_is_called_as_it_is_wanted_now_and_not_at_all_if_it_is_not():
    world = World(provider("a"))
    local = LocalServers(world.gateway, lambda line: None)
    with respx.mock(base_url=HOME, assert_all_called=False) as router:
        answering(router, "llama3.2:3b")
        await local.look(Wanted(servers=(OLLAMA,), own_port=3000))
    [same] = local.still([OLLAMA])
    assert same == local.found()["ollama"]
    moved = structs.replace(OLLAMA, base_url="http://127.0.0.1:9/v1", keys=(Key("secret", "mine"),))
    [now] = local.still([moved, structs.replace(OLLAMA, id="never-found")])
    assert (now.base_url, now.keys, now.models) == (moved.base_url, moved.keys, same.models)
    assert local.still([]) == []


async def test_looking_ends_when_told_to():
    local = LocalServers(World(provider("a")).gateway, lambda line: None)
    local.watch(Wanted(servers=(), own_port=3000))
    await local.stop()
    with respx.mock(base_url=HOME, assert_all_called=False) as router:
        router.route().mock(side_effect=httpx.ConnectError("refused"))
        local.watch(Wanted(servers=(OLLAMA,), own_port=3000))
        local.watch(Wanted(servers=(OLLAMA,), own_port=3000))
        await local.stop()
