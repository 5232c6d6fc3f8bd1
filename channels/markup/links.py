"""Links: only web addresses lead somewhere, and none pretends to lead elsewhere."""

import re
import unicodedata
from urllib.parse import urlsplit

from markdown_it.rules_inline import StateInline

from channels.markup.tree import CodeSpan, Inlines, Link, Words, merged, text_of

_ADDRESS = re.compile(r"://(?:(?!~~)[^\s<>\"'`*|\[\]{}，。；：！？（）【】「」『』《》“”‘’、])+")
_SCHEME = re.compile(r"(?:^|[^a-zA-Z0-9.+-])(https?)$", re.IGNORECASE)
_HOST = re.compile(r"(?<![\w.-])(?<!(?<!/)/)(?:(?:[\w-]+\.)+[^\W\d_]{2,}|\d+(?:\.\d+){3})")
_HOSTNAME = re.compile(r"[\w.:-]+")


def bare_address(state: StateInline, silent: bool) -> bool:
    """Read ``https://…`` as a link before emphasis is looked for: an address may hold ``_`` anywhere."""
    scheme = _SCHEME.search(state.src, max(0, state.pos - 6), state.pos)
    found = _ADDRESS.match(state.src, state.pos, state.posMax)
    if scheme is None or found is None:
        return False
    tail = _without_punctuation(found[0])
    href = state.md.normalizeLink(scheme[1] + tail)
    if silent or state.linkLevel or not state.pending.endswith(scheme[1]) or not _web_host(href):
        state.pending += "" if silent else tail
    else:
        state.pending = state.pending[: -len(scheme[1])]
        link = state.push("link_open", "a", 1)
        link.attrs, link.info = {"href": href}, "auto"
        state.push("text", "", 0).content = scheme[1] + tail
        state.push("link_close", "a", -1)
    state.pos += len(tail)
    return True


def _without_punctuation(address: str) -> str:
    """Return an address without what ends the sentence around it."""
    while address[-1:] in ".,;:!?)":
        if address[-1] == ")" and address.count("(") >= address.count(")"):
            return address
        address = address[:-1]
    return address


def linked(inside: Inlines, href: str, is_bare: bool = False) -> Inlines:
    """Return a link; one whose text names another place shows where it leads, one that may not lead is text.

    is_bare: the text is the address itself.
    """
    label = text_of(inside)
    host = _web_host(href)
    shown = inside if label.strip() else (Words(href),)
    if not host:  # tg://user?id=… would be a mention of somebody
        secret = not href or href in label or href.lower().startswith("tg:")
        return shown if secret else (*shown, Words(f" ({href})"))
    plain = tuple(Words(each.text) if isinstance(each, CodeSpan) else each for each in shown)
    if is_bare or _hosts_in(label) <= {_bare(host)}:
        return (Link(merged(plain), href),)
    return (*merged(plain), Words(" ("), Link((Words(href),), href), Words(")"))


def _hosts_in(label: str) -> set[str]:
    """Return the hosts that a reader sees in a link's text, which hidden or wide letters do not disguise."""
    seen = "".join(c for c in unicodedata.normalize("NFKC", label) if unicodedata.category(c) != "Cf")
    return {_bare(found) for found in _HOST.findall(seen.casefold())}


def _bare(host: str) -> str:
    return host.casefold().removeprefix("www.")


def _web_host(href: str) -> str:
    """Return the host of a web address, "" for any other."""
    try:
        parts = urlsplit(href)
        host = parts.hostname or ""
    except ValueError:
        return ""
    is_web = parts.scheme.lower() in ("http", "https") and _HOSTNAME.fullmatch(host)
    return host if is_web else ""
