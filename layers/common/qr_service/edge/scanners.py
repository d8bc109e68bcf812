"""Who scans: a person's browser, or a program that is known not to be one.

By the headers alone, and nothing of them is kept. A program that poses as a browser is
counted as a person.
"""

from collections.abc import Mapping

from qr_service.stores.cache import Scanner

# What the names of crawlers, previews of messengers, mail filters and monitors contain,
# in lower case. A search for words is ten times faster than a regular expression.
_WORDS = (
    *("bot", "crawl", "spider", "slurp", "scrape", "fetch", "preview", "monitor"),
    *("uptime", "pingdom", "lighthouse", "pagespeed", "headless", "phantomjs"),
    *("facebookexternalhit", "facebookcatalog", "meta-external", "whatsapp"),
    *(
        "skypeuri",
        "embedly",
        "vkshare",
        "google-",
        "googleother",
        "mediapartners",
        "selenium",
    ),
    *("proofpoint", "barracuda", "mimecast", "safelinks", "urlscan", "virustotal"),
)
# HTTP libraries, which begin with their name.
_LIBRARIES = (
    *("curl", "wget", "python", "go-http", "java", "okhttp", "axios", "node", "ruby"),
    *("perl", "php", "libwww", "http"),
)
_TELEPHONE = "cubot"  # a brand, which has one of the words in its name


def scanner_of(headers: Mapping[str, str]) -> Scanner:
    """Return who requests a page, by the headers; their names are in any case."""
    agent = (headers.get("User-Agent") or "").lower().replace(_TELEPHONE, "")
    # A browser that loads a page in case somebody opens it.
    ahead = headers.get("Sec-Purpose") or headers.get("Purpose") or ""
    if not agent or "prefetch" in ahead or agent.startswith(_LIBRARIES):
        return "bots"
    for word in _WORDS:
        if word in agent:
            return "bots"
    return "people"
