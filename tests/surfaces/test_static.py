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
