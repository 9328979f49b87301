"""Whatever path the client takes, the call stays below its base, whoever reads the URL in between."""

import posixpath
import unicodedata
from urllib.parse import quote, unquote, urljoin, urlsplit

import urllib3.util
from hypothesis import example, given
from hypothesis import strategies as st

from gatehouse.integration import IntegrationClient
from gatehouse.integration_call import CallRefused
from gatehouse.integration_tokens import IntegrationTokens
from gatehouse.secret_value import Secret
from gatehouse.token_store import Stored
from gatehouse.upstream import UpstreamAnswer, UpstreamRequest

BASE = "https://integration.example.com/prefix"
BELOW = f"{BASE}/api/v1/integration/"

PIECES = st.sampled_from(
    [
        *("a", "b", "markets", "/", "/", "//", ".", "..", "\\", "%", "%25", "%2e", "%2E", "%2f", "%2F", "%5c", "%3b"),
        *("%00", "%0a", "%20", "%09", ";", ":", "@", "?", "#", "%3f", "%23", "http:", "%252e", "%252f", "%25252e"),
        *(
            "%c0%ae",
            "%ef%bc%8e",
            "%ef%bc%8f",
            "%ef%bc%85",
            "%e2%80%a5",
            "\uff12",
            "\uff0e",
            "é",
            "%C3%A9",
            " ",
            "\n",
            "\x00",
        ),
    ]
)
PATHS = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=20)


class Recorder:
    """A transport and a store in one: it keeps the last URL."""

    url = ""

    def send(self, request: UpstreamRequest, timeout_seconds: float) -> UpstreamAnswer:
        assert timeout_seconds > 0
        self.url = request.url
        return UpstreamAnswer(200)

    def read(self) -> Stored:
        return Stored("v", IntegrationTokens(Secret("t"), Secret("r"), "Bearer", 1e12, 0, 0))


def url_sent(path: str, **params: str) -> str | None:
    """Return the URL that a path leads to; None where the client refuses."""
    recorder = Recorder()
    client = IntegrationClient(recorder, BASE, recorder, clock=lambda: 0.0, sleep=lambda _: None)
    try:
        client.request("GET", path, params=params)
    except CallRefused:
        return None
    return recorder.url


def readings(url: str) -> list[str]:
    """Return every form that a proxy, a server or a client library may make of a URL's path."""
    found = []
    text = urlsplit(url).path
    for _ in range(6):
        folded = unicodedata.normalize("NFKC", text)
        for form in (text, folded, folded.replace("\\", "/")):
            without_parameters = "/".join(segment.partition(";")[0] for segment in form.split("/"))
            without_spaces = "".join(without_parameters.split())
            found += [form, without_parameters, without_spaces]
        text = unquote(folded)
    return found


def stays_below(path: str) -> bool:
    """Whether a path is one below the base, before and after its dot segments are taken away."""
    below = urlsplit(BELOW).path
    normal = posixpath.normpath(path)
    joined = urlsplit(urljoin(BASE, path.replace("?", "").replace("#", ""))).path
    return all(form.startswith(below) and len(form) > len(below) for form in (path, normal, joined))


@given(PATHS)
@example("..")
@example("%2e%2e/%2e%2e")
@example("a/%252e%252e/b")
@example("..;/x")
@example("a%2F..%2F..%2F..%2F..")
@example("a%C2%A0/b")
def test_an_accepted_path_stays_below_the_base_after_any_normalisation(path: str) -> None:
    url = url_sent(path)
    if url is not None:
        assert url == BELOW + path.removeprefix("/")
        assert [form for form in readings(url) if not stays_below(form)] == []
        assert urllib3.util.parse_url(url).url.startswith(BELOW)
        assert "?" not in url
        assert "#" not in url
        assert url.isascii()
        assert url.isprintable()


@given(st.lists(st.text("abc-._~ é?#:@&=+$,", min_size=1, max_size=8), min_size=1, max_size=4))
def test_names_that_are_quoted_are_taken_unless_they_are_dots_and_spaces(names: list[str]) -> None:
    url = url_sent("/".join(quote(name, safe="") for name in names))
    assert (url is not None) == all(name.strip(". ") for name in names)


@given(st.dictionaries(st.text("ab&=?#/ é\r\n", min_size=1), st.text("ab&=?#/ é\r\n%"), max_size=3))
def test_parameters_change_nothing_but_the_query(params: dict[str, str]) -> None:
    url = url_sent("holdings", **params)
    assert url is not None
    assert urllib3.util.parse_url(url).path == f"{urlsplit(BELOW).path}holdings"
    assert urlsplit(url).fragment == ""
