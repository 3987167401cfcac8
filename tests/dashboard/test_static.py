"""The dashboard keeps its content policy: nothing inline, nothing foreign, nothing missing."""

import posixpath
import re
from html.parser import HTMLParser
from itertools import product

import pytest

from freeroute.administration.clients import TERMS
from freeroute.domain.operators import Scope
from freeroute.domain.outcome import Kind
from freeroute.resources import dashboard_dir
from freeroute.surfaces.admin.providers import Entered
from tests.support.pages import OPENAPI

FILES = {
    path.relative_to(dashboard_dir()).as_posix(): path.read_text()
    for path in sorted(dashboard_dir().rglob("*"))
    if path.is_file()
}
SCRIPTS = sorted(name for name in FILES if name.endswith(".js"))
BUDGET = 150_000  # bytes that a page takes, unpacked, whichever it is that somebody opens first
WHOLE_BUDGET = 236_000  # of all files together
STATES = ("healthy", "suspect", "resting", "open", "half-open", "held", "off", "no-key")
SVG = "http://www.w3.org/2000/svg"
GROUNDS = (("on-accent", "accent"), ("card", "bad"), ("text", "bad-wash"), ("page", "text"))
IMPORT = re.compile(r"^(?:import|export) [^\"'`]*?from \"([^\"]+)\";", re.MULTILINE)
EXPORT = re.compile(r"^export (?:async )?(?:const|function\*?|class) (\w+)", re.MULTILINE)
COLOURS = ("text", "soft", "accent", "good", "warn", "rest", "bad")


class Page(HTMLParser):
    """The elements of the page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self._raw = False
        self.feed(FILES["index.html"])

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._raw = tag in {"script", "style"}

    def handle_data(self, data):
        if self._raw:
            self.inline += data

    def handle_endtag(self, tag):
        self._raw = False

    def values(self, name):
        return [attrs[name] for _, attrs in self.elements if attrs.get(name)]


def pages(page):
    """Return the ids of the pages, as the navigation has them."""
    return [
        attrs["href"][1:] for tag, attrs in page.elements if tag == "a" and attrs["href"].startswith("#")
    ][1:]


def beside(name, other):
    """Return the file that *name* calls *other*."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), other))


def with_imports(names):
    """Return the files *names* with all that they import."""
    found = set(names)
    while more := {beside(name, other) for name in found for other in IMPORT.findall(FILES[name])} - found:
        found |= more
    return found


@pytest.fixture(scope="module")
def page():
    return Page()


def test_each_page_alone_fits_the_budget(page):
    """In plain bytes: the shell, the page and all that both import."""
    shell = {name.removeprefix("/dashboard/") for name in page.values("href") + page.values("src")}
    sheets = {
        attrs["href"][1:]: attrs["data-sheet"] for tag, attrs in page.elements if attrs.get("data-sheet")
    }
    sizes = {}
    for name in pages(page):
        sheet = {beside("router.js", sheets[name])} if name in sheets else set()
        found = with_imports(shell & set(FILES) | {"index.html", f"pages/{name}.js"} | sheet)
        sizes[name] = sum(len(FILES[one].encode()) for one in found)
    assert {name: size for name, size in sizes.items() if not 70_000 < size < BUDGET} == {}


def test_all_files_together_fit_a_budget_too():
    assert sum(len(text.encode()) for text in FILES.values()) < WHOLE_BUDGET


def test_the_page_has_no_inline_script_style_or_handler(page):
    assert page.inline.strip() == ""
    assert not any(tag == "style" for tag, _ in page.elements)
    names = {name for _, attrs in page.elements for name in attrs}
    assert not [name for name in names if name == "style" or name.startswith("on")]


def test_the_page_reads_data_as_text_and_writes_no_style():
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|setHTML|\beval\(|new Function|DOMParser"
        r"|javascript:|\.style\b|cssText|[\"']style[\"']|\bon[a-z]+ ?= ?"
    )
    assert {name: forbidden.findall(FILES[name]) for name in SCRIPTS} == {name: [] for name in SCRIPTS}


@pytest.mark.parametrize("name", FILES)
def test_nothing_comes_from_elsewhere(name):
    foreign = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`)]*|@import|url\(", FILES[name])
    assert [address for address in foreign if address != SVG] == []


def test_every_file_that_is_named_exists_and_every_file_is_named(page):
    named = set(page.values("src"))
    named |= {attrs["href"] for tag, attrs in page.elements if tag == "link"}
    for name in SCRIPTS:
        named |= {f"/dashboard/{beside(name, other)}" for other in IMPORT.findall(FILES[name])}
    named |= {f"/dashboard/pages/{name}.js" for name in pages(page)}
    named |= {f"/dashboard/{beside('router.js', sheet)}" for sheet in page.values("data-sheet")}
    assert named == {f"/dashboard/{name}" for name in FILES if name != "index.html"}


def test_the_page_asks_at_once_for_every_module_of_the_first_one(page):
    found = with_imports({"app.js", "session.js", f"pages/{pages(page)[0]}.js"})
    asked = [name.removeprefix("/dashboard/") for name in page.values("src") + page.values("href")]
    assert sorted(name for name in asked if name.endswith(".js")) == sorted(found)


def test_every_import_names_something_the_other_file_exports():
    for name in SCRIPTS:
        for names, other in re.findall(r"import \{([^}]+)\} from \"([^\"]+)\"", FILES[name]):
            exported = set(EXPORT.findall(FILES[beside(name, other)]))
            imported = {one.strip() for one in names.split(",") if one.strip()}
            assert imported <= exported, (name, other)
            body = FILES[name].split("\n\n", 2)[-1]
            assert [one for one in imported if not re.search(rf"\b{one}\b", body)] == [], name


def test_every_element_that_the_scripts_ask_for_is_on_the_page_once(page):
    ids = page.values("id")
    asked = {one for name in SCRIPTS for one in re.findall(r"byId\(\"([^\"]+)\"\)", FILES[name])}
    assert asked <= set(ids)
    assert len(ids) == len(set(ids))


def test_every_reference_between_elements_holds(page):
    ids = set(page.values("id"))
    for name in ("aria-labelledby", "aria-describedby", "for"):
        assert {one for value in page.values(name) for one in value.split()} <= ids


def test_every_key_field_has_a_label_and_is_never_remembered(page):
    labelled = set(page.values("for"))
    fields = [attrs for tag, attrs in page.elements if tag == "input" and attrs["type"] == "password"]
    assert {field["id"] for field in fields} == {"signin-key", "dialog-key"}
    assert {field["id"] for field in fields} <= labelled
    assert {field["autocomplete"] for field in fields} == {"off"}
    # Fields that scripts make come from one place, which labels them, and empties them when their form goes.
    made = FILES["forms.js"]
    assert [
        name for name in SCRIPTS if re.search(r"createElement\(|make\(\"input\".*password", FILES[name])
    ] == ["dom.js"]
    assert 'make("label", { for: id }, label)' in made
    assert 'make("input", { id, name, autocomplete: "off"' in made
    assert '"close", () => form.reset()' in made


def test_every_field_has_a_name_for_those_who_hear_the_page(page):
    labelled = set(page.values("for"))
    fields = [attrs for tag, attrs in page.elements if tag in {"input", "select"}]
    nameless = [one for one in fields if one.get("id") not in labelled and "aria-label" not in one]
    assert {one["type"] for one in nameless} == {"radio"}  # theirs is around them


def test_the_form_asks_for_what_may_be_said_of_a_client():
    assert set(_fields("pages/clients.js")) == {"name", *TERMS} - {"max_wait"}


def test_the_form_asks_for_what_may_be_said_of_a_key():
    assert set(_fields("pages/keys.js")) == {"provider", *Entered.__struct_fields__}


def test_the_form_offers_every_scope_of_an_operator():
    told = re.search(r"const SCOPES = \{(.*?)^\};", FILES["operators.js"], re.MULTILINE | re.DOTALL)
    assert told
    assert re.findall(r"^  (\w+): \"\1: ", told[1], re.MULTILINE) == [scope.value for scope in Scope]


def test_every_state_and_verdict_of_a_key_has_words():
    schemas = OPENAPI["components"]["schemas"]
    test = OPENAPI["paths"]["/admin/providers/{provider}/keys/{label}/test"]["post"]["responses"]["200"]
    verdicts = test["content"]["application/json"]["schema"]["properties"]["verdict"]["enum"]
    for name, known in (
        ("STATES", [*schemas["ProviderKey"]["properties"]["state"]["enum"], "unknown"]),
        ("VERDICTS", verdicts),
        ("SOURCES", schemas["ProviderKey"]["properties"]["source"]["enum"]),
    ):
        told = re.search(rf"const {name} = \{{(.*?)\}};$", FILES["pages/keys.js"], re.MULTILINE | re.DOTALL)
        assert told
        assert set(re.findall(r"(?:^|[{,]) *\"?([\w-]+)\"?: [{\"]", told[1], re.MULTILINE)) - {
            "word",
            "tone",
            "means",
        } == set(known)


def test_a_secret_that_is_shown_once_is_not_closed_by_a_slip_and_not_kept():
    script = FILES["once.js"]
    assert '"cancel", (event) => event.preventDefault()' in script
    assert 'field.value = "";' in script


def test_the_page_has_its_landmarks_and_a_polite_live_region(page):
    tags = [tag for tag, _ in page.elements]
    assert [tags.count(tag) for tag in ("header", "main", "footer", "h1")] == [1, 1, 1, 1]
    assert "status" in page.values("role")
    assert ("html", {"lang": "en"}) in page.elements


def test_every_ending_of_an_attempt_has_words():
    told = set(re.findall(r"^  (\w+): ", _object("ENDINGS"), re.MULTILINE))
    assert told == {kind.value for kind in Kind}


def test_every_state_has_a_word_and_a_shape_of_its_own():
    states = _object("STATES")
    tones = dict(re.findall(r"^  \"?([\w-]+)\"?: \{ word: .*?tone: \"(\w+)\"", states, re.MULTILINE))
    assert tuple(tones) == STATES
    assert len(set(tones.values())) == len(STATES)
    for tone in tones.values():
        assert f'<symbol id="icon-{tone}"' in FILES["index.html"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_as_wcag_aa_asks(scheme):
    light, dark = (_palette(block) for block in re.findall(r":root \{([^}]+)\}", FILES["style.css"]))
    palette = light if scheme == "light" else {**light, **dark}
    pairs = [*product(COLOURS, ("page", "card")), *GROUNDS]
    weak = {pair: _contrast(palette[pair[0]], palette[pair[1]]) for pair in pairs}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_what_is_drawn_stands_out_from_its_ground_as_wcag_aa_asks(scheme):
    grounds, shades = (
        [_palette(block) for block in re.findall(r":root \{([^}]+)\}", FILES[name])]
        for name in ("style.css", "pages/usage.css")
    )
    assert len(shades[scheme]) == 8
    ratios = {name: _contrast(colour, grounds[scheme]["card"]) for name, colour in shades[scheme].items()}
    assert {name: ratio for name, ratio in ratios.items() if ratio < 3} == {}


def _fields(name):
    """Return the names of the fields of the first form in the script *name*."""
    found = re.search(r"^const FIELDS = \[(.*?)^\];", FILES[name], re.MULTILINE | re.DOTALL)
    assert found
    return re.findall(r"\{ name: \"(\w+)\"", found[1])


def _object(name):
    found = re.search(rf"export const {name} = \{{(.*?)^\}};", FILES["words.js"], re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def _palette(block):
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block))


def _contrast(one, other):
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
