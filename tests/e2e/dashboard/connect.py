"""The page that says what to write where."""

from collections.abc import Callable
from typing import Any

from tests.e2e.dashboard.walk import Walk


def every_recipe_names_this_gateway_and_the_chosen_model(walk: Walk) -> None:
    """The address is that of the page, and another model changes every text that names one."""
    walk.turn_to("Connect")
    walk.page.locator("#connect-model option[value=free-fast]").wait_for(state="attached")
    for model in ("free-fast", "groq/openai/gpt-oss-120b"):
        walk.page.locator("#connect-model").select_option(model)
        for name in (
            "curl",
            "openai-python",
            "openai-node",
            "langchain",
            "aider",
            "continue",
            "cline",
            "opencode",
        ):
            told = walk.page.locator(f"[id='connect/{name}']").inner_text()
            assert f"{walk.url}/v1" in told, (name, told)
            assert model in told, (name, told)
    listed = walk.page.request.get(f"{walk.url}/v1/models").json()["data"]
    chatting = [one for one in listed if "text" in one["architecture"]["output_modalities"]]
    assert walk.page.locator("#connect-model option").count() == len(chatting) < len(listed)


def clients_of_other_apis_are_found(walk: Walk) -> None:
    """Clients that speak another API have what to copy as well."""
    walk.turn_to("Connect")
    for name, told in (("Claude Code", "ANTHROPIC_BASE_URL"), ("Codex CLI", "wire_api")):
        walk.page.get_by_role("navigation", name="Tools").get_by_role("link", name=name).click()
        entry = walk.page.locator("article:focus", has_text=told)
        entry.wait_for()
        assert entry.get_by_role("button").count() > 0


def a_text_is_copied_and_it_is_said(walk: Walk) -> None:
    """What is copied is the text; where a page may not write to the clipboard, it is selected instead."""
    walk.turn_to("Connect")
    walk.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    curl = walk.page.get_by_role("article", name="curl")
    curl.get_by_role("button", name="Copy").click()
    walk.see("#notice", "Copied.")
    copied = walk.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"curl {walk.url}/v1/chat/completions")
    assert copied == curl.locator("code").inner_text()
    walk.page.context.clear_permissions()
    walk.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    curl.get_by_role("button", name="Copy").click()
    walk.see("#notice", "Selected")
    assert walk.page.evaluate("getSelection().toString()").startswith("curl ")


def the_address_is_that_of_the_page(walk: Walk) -> None:
    """Where the page is served below a path, by a proxy, the address of the gateway is below it too."""

    def proxied(route: Any) -> None:
        route.fulfill(response=route.fetch(url=f"{walk.url}/dashboard"))

    walk.page.route("**/below/it/dashboard", proxied)
    walk.page.goto(f"{walk.url}/below/it/dashboard#connect")
    walk.see("article", f"curl {walk.url}/below/it/v1/chat/completions")
    walk.page.unroute("**/below/it/dashboard")
    walk.open()


def no_key_is_asked_for_while_there_is_no_client(walk: Walk) -> None:
    """Without clients the texts say that no key is needed, and lead to where one is made."""
    walk.turn_to("Connect")
    assert "not-needed" in walk.page.get_by_role("article", name="curl").inner_text()
    walk.page.get_by_role("button", name="Add a client for this").click()
    walk.page.locator("#client[open]").wait_for()
    walk.page.keyboard.press("Escape")


STEPS: tuple[Callable[[Walk], None], ...] = (
    every_recipe_names_this_gateway_and_the_chosen_model,
    clients_of_other_apis_are_found,
    a_text_is_copied_and_it_is_said,
    the_address_is_that_of_the_page,
    no_key_is_asked_for_while_there_is_no_client,
)
