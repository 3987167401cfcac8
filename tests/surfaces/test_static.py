import re

import pytest

from tests.support.serving import RawCaller, serving


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/dashboard", "text/html; charset=utf-8"),
        ("/dashboard/", "text/html; charset=utf-8"),
        ("/dashboard/index.html", "text/html; charset=utf-8"),
        ("/dashboard/app.js", "text/javascript; charset=utf-8"),
        ("/dashboard/parts/icon.svg", "image/svg+xml"),
    ],
)
async def test_files_are_served_with_their_type_and_a_strict_policy(ask, path, kind):
    async with ask() as client:
        reply = await client.get(path)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == kind
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert reply.headers["cache-control"] == "no-cache"


async def test_an_unchanged_file_is_not_sent_again(ask, dashboard):
    async with ask() as client:
        etag = (await client.get("/dashboard")).headers["etag"]
        again = await client.get("/dashboard", headers={"if-none-match": etag})
        assert again.status_code == 304
        assert again.content == b""
        (dashboard / "index.html").write_text("changed")
        assert (await client.get("/dashboard", headers={"if-none-match": etag})).text == "changed"


async def test_what_the_page_names_is_kept_by_browsers_until_a_file_changes(ask, dashboard):
    (dashboard / "index.html").write_text('<script src="/dashboard/app.js"></script>')
    async with ask() as client:
        script = await named(client)
        first = await client.get(script)
        assert first.text == "export {};"
        assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert await named(client) == script
        (dashboard / "parts" / "icon.svg").write_text("<svg><g/></svg>")
        assert (await client.get(script)).headers["cache-control"].endswith("immutable")
        later = await named(client)
        assert later != script
        assert (await client.get(later)).headers["cache-control"].endswith("immutable")


async def test_a_page_of_before_an_update_gets_the_files_of_now_and_does_not_keep_them(ask, dashboard):
    async with ask() as client:
        for version in ("v-0123456789abcdef", "v-fedcba9876543210"):
            (dashboard / "app.js").write_text(f"// {version}")
            reply = await client.get(f"/dashboard/{version}/app.js")
            assert reply.text == f"// {version}"
            assert reply.headers["cache-control"] == "no-cache"
            assert (await client.get(f"/dashboard/{version}/nothing.js")).status_code == 404
            assert (await client.get(f"/dashboard/{version}/{version}/app.js")).status_code == 404


async def test_files_that_are_being_replaced_are_served_as_they_were(ask, dashboard):
    async with ask() as client:
        before = (await client.get("/dashboard")).content
        dashboard.rename(dashboard.with_name("elsewhere"))
        assert (await client.get("/dashboard")).content == before
    async with ask() as client:
        assert (await client.get("/dashboard")).status_code == 404


async def named(client):
    """Return the script that the page names."""
    [script] = re.findall(r'src="([^"]+)"', (await client.get("/dashboard")).text)
    return script


@pytest.mark.parametrize(
    "accepted", ["gzip", "br, gzip;q=0.5", "GZIP", "identity", "", "gzip; q=0", "gzipped"]
)
async def test_a_file_comes_compressed_to_whoever_takes_that(ask, accepted):
    async with ask() as client:
        plain = await client.get("/dashboard/app.js", headers={"accept-encoding": "identity"})
        reply = await client.get("/dashboard/app.js", headers={"accept-encoding": accepted})
        takes = accepted in {"gzip", "br, gzip;q=0.5", "GZIP"}
        assert reply.headers.get("content-encoding") == ("gzip" if takes else None)
        assert reply.text == plain.text
        assert (reply.headers["etag"] != plain.headers["etag"]) is takes
        assert reply.headers["vary"] == "accept-encoding"
        known = {"accept-encoding": accepted, "if-none-match": reply.headers["etag"]}
        assert (await client.get("/dashboard/app.js", headers=known)).status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        *("../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "parts/../../secret.txt", "link.txt"),
        *("..%5csecret.txt", ".hidden", "parts", "parts/", "nothing.js", "app.js%00.html", "%2fetc/passwd"),
        *("v-0123456789abcdef/../secret.txt", "v-0123456789abcdef/%2e%2e/%2e%2e/secret.txt"),
        *("parts/%2e%2e/%2e%2e/secret.txt", "x" * 5000, "app.js/index.html"),
    ],
)
async def test_nothing_outside_the_directory_is_served(build, path):
    # Over a socket and by hand: clients tidy the dots away.
    async with serving(build()) as url, RawCaller.to(url) as caller:
        await caller.send(f"GET /dashboard/{path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        reply = await caller.answer()
    assert reply.status == 404
    assert b"not yours" not in reply.body
