"""What every request must pass: Host, method, size, token; and the headers of every answer."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web_client import WebClient

from haloflow.dashboard.app import create_app
from haloflow.dashboard.security import (
    COOKIE,
    LOOPBACK_HOSTS,
    MAX_PATH_BYTES,
    MAX_QUERY_BYTES,
    SECURITY_HEADERS,
    host_name,
)

TOKEN = "a-token-of-the-tests"  # noqa: S105  (of the tests)
FIELDS = "/api/v1/fields"


@pytest.fixture(scope="module")
def locked(embedded_store):
    """A server for which one needs the token."""
    return WebClient(create_app(embedded_store, token=TOKEN))


def raw(app, path, *, method="GET", query=b"", headers=((b"host", b"127.0.0.1"),)):
    """Send what no client library would; return status, headers and body."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": method,
        "path": path.decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "headers": list(headers),
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }
    asyncio.run(app(scope, receive, send))
    assert sent[0]["type"] == "http.response.start"
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body


# -- Host --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("127.0.0.1:8000", "127.0.0.1"),
        ("LocalHost", "localhost"),
        ("[::1]:8000", "[::1]"),
        ("[::1]", "[::1]"),
        ("127.0.0.1:8000@evil.com", ""),
        ("[::1]evil.com", ""),
        ("127.0.0.1:", ""),
        ("", ""),
        ("127.0.0.1.evil.com", "127.0.0.1.evil.com"),
    ],
)
def test_the_name_in_a_host_header(header, name):
    assert host_name(header) == name


@pytest.mark.parametrize("host", ["evil.com", "127.0.0.1.evil.com", "127.0.0.1:80@evil.com", ""])
def test_other_names_are_refused(embedded, host):
    answer = embedded.get(FIELDS, host=host)
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "problem": "this server does not answer under this name",
        "given": host,
        "allowed": None,
        "remedy": "use the address that haloflow serve printed",
    }


def test_a_request_without_host_is_refused(embedded):
    status, _, body = raw(embedded.app, FIELDS.encode(), headers=())
    assert status == 400
    assert b"no Host header" in body


@pytest.mark.parametrize("host", [*LOOPBACK_HOSTS, "localhost:8123", "[::1]:9"])
def test_names_of_this_machine_are_answered(embedded, host):
    assert embedded.get(FIELDS, host=host).status_code == 200


def test_the_given_host_is_answered(embedded_store):
    app = create_app(embedded_store, allowed_hosts=["cluster.example"])
    assert WebClient(app).get(FIELDS, host="cluster.example:8000").status_code == 200
    assert WebClient(app).get(FIELDS, host="localhost").status_code == 400


# -- methods and sizes -------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "X"])
@pytest.mark.parametrize("path", [FIELDS, "/", "/static/css/shell.css"])
def test_only_reading_is_allowed(embedded, method, path):
    answer = embedded.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert answer.json()["error"] == {
        "problem": "this server only shows what is stored",
        "given": method,
        "allowed": "GET, HEAD",
        "remedy": None,
    }


@pytest.mark.parametrize("path", [FIELDS, "/", "/static/css/shell.css"])
def test_head_is_get_without_a_body(embedded, path):
    head, get = embedded.request("HEAD", path), embedded.get(path)
    assert head.status_code == get.status_code == 200
    assert head.content == b""
    assert get.content
    assert {**head.headers} == {**get.headers}


def test_addresses_have_a_longest_length(embedded):
    query = "text=" + "a" * (MAX_QUERY_BYTES - 5)
    assert embedded.get(f"/api/v1/candidates?{query}").status_code == 400  # too long a text
    answer = embedded.get(f"/api/v1/candidates?{query}a")
    assert answer.status_code == 414
    assert answer.json()["error"]["problem"] == "the query of the address is too long"
    assert answer.json()["error"]["allowed"] == "up to 4000 bytes"
    assert embedded.get("/" + "a" * (MAX_PATH_BYTES - 1)).status_code == 404
    answer = embedded.get("/" + "a" * MAX_PATH_BYTES)
    assert answer.status_code == 414
    assert answer.json()["error"]["problem"] == "the path of the address is too long"


# -- headers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [FIELDS, "/", "/nothing", "/api/v1/candidates?_limit=0", "/static/js/boot.js", "/static/x"],
)
def test_every_answer_has_the_headers(embedded, path):
    headers = embedded.get(path).headers
    for name, value in SECURITY_HEADERS.items():
        assert headers[name] == value
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert "access-control-allow-origin" not in headers


def test_refusals_have_the_headers_too(embedded, locked):
    for answer in (embedded.request("POST", "/"), embedded.get("/", host="x"), locked.get("/")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


# -- files -------------------------------------------------------------------------------


def test_pages_are_served_and_not_kept(embedded):
    answer = embedded.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"


def test_only_libraries_named_with_their_hash_are_kept(embedded):
    path = "/static/vendor/plotly/plotly-cartesian.min.js"
    kept = embedded.get(path, {"v": "0"}).headers["cache-control"]
    assert kept == "public, max-age=31536000, immutable"
    assert embedded.get(path).headers["cache-control"] == "no-cache"
    assert embedded.get("/static/js/boot.js", {"v": "0"}).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        b"/static/../app.py",
        b"/static/%2e%2e/app.py",
        b"/static/..%2fapp.py",
        b"/static//etc/passwd",
        b"/static/%2fetc%2fpasswd",
        b"/static/js/../../../errors.py",
        b"/static/\\..\\app.py",
        b"/static/js",
        b"/static/",
        b"/static/\x00",
        b"/static/%00",
        b"/static/" + b"a" * 300,
        b"//etc/passwd",
        b"/../../etc/passwd",
        b"/%ff",
    ],
)
def test_no_path_leaves_the_static_folder(embedded, path):
    from urllib.parse import unquote_to_bytes

    for decoded in (path, unquote_to_bytes(path)):
        status, _, body = raw(embedded.app, decoded)
        assert status == 404
        assert b"import" not in body
        assert b"root:" not in body


# -- token -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [FIELDS, "/", "/static/js/boot.js", "/nothing", "/api/v1/openapi.json"]
)
def test_nothing_is_shown_without_the_token(locked, path):
    answer = locked.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["problem"] == "this server asks for its token"
    assert answer.json()["error"]["given"] == "no token"
    assert "open the whole address that haloflow serve printed" in answer.json()["error"]["remedy"]
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer"},
        {"authorization": "Bearer another-token-of-tests"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer \xff"},
        {"cookie": f"{COOKIE}=x"},
        {"cookie": f"other={TOKEN}"},
        {"cookie": "\x7f=;;,=,"},
    ],
)
def test_another_token_opens_nothing(locked, headers):
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    status, _, _ = raw(locked.app, FIELDS.encode(), headers=[(b"host", b"localhost"), *encoded])
    assert status == 401


def test_a_client_sends_the_token_in_a_header(locked):
    for kind in ("Bearer", "bearer"):
        assert locked.get(FIELDS, authorization=f"{kind} {TOKEN}").status_code == 200


def test_a_browser_gets_a_cookie_and_loses_the_token_from_its_address(locked):
    answer = locked.get("/candidate?id=a%26b&token=" + TOKEN)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/candidate?id=a%26b"
    assert answer.headers["cache-control"] == "no-store"
    cookie, *flags = answer.headers["set-cookie"].split("; ")
    assert set(flags) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert locked.get(FIELDS, cookie=f"a=b; {cookie}").status_code == 200
    assert locked.get("/", {"token": "wrong"}).status_code == 401


def test_two_servers_on_one_host_do_not_sign_each_other_out(locked):
    host = {"host": "127.0.0.1:8001"}
    answer = locked.get(f"{FIELDS}?token={TOKEN}", **host)
    name, _, value = answer.headers["set-cookie"].split("; ")[0].partition("=")
    jar = f"{COOKIE}-8002=of-another-server-on-this-host; {name}={value}"
    assert locked.get(FIELDS, cookie=jar, **host).status_code == 200
    assert locked.get(FIELDS, cookie=jar, host="127.0.0.1:8002").status_code == 401


@pytest.mark.parametrize("path", [b"//evil.com/", b"/\\evil.com", b"///evil.com", b"/%5cevil.com"])
def test_the_sign_in_leads_to_no_other_server(locked, path):
    status, headers, _ = raw(locked.app, path, query=f"token={TOKEN}".encode())
    assert status == 303
    assert not headers[b"location"].startswith((b"//", b"/\\"))
    assert headers[b"location"].startswith(b"/")


def test_host_and_method_are_checked_before_the_token(locked):
    assert locked.get(FIELDS, host="evil.com", authorization=f"Bearer {TOKEN}").status_code == 400
    assert locked.request("POST", FIELDS, authorization=f"Bearer {TOKEN}").status_code == 405


@settings(deadline=None, max_examples=60)
@given(
    query=st.binary(max_size=60),
    headers=st.lists(
        st.tuples(st.sampled_from([b"cookie", b"authorization", b"host"]), st.binary())
    ),
)
def test_no_bytes_break_the_guards(locked, query, headers):
    status, _, _ = raw(locked.app, FIELDS.encode(), query=query, headers=headers)
    assert status in {400, 401}
