"""Who scans: a person's browser, or a program that is known not to be one.

By the headers alone, and nothing of them is kept. A program that poses as a browser is
counted as a person.
"""

import re
from collections.abc import Mapping

from qr_service.stores.cache import Scanner

# Crawlers, the previews of messengers, mail filters, monitors, and HTTP libraries. Most
# crawlers have one of the first words in their name.
_BOTS = re.compile(
    r"bot\b|bot[/_;-]|crawl|spider|slurp|scrape|fetch|preview|monitor|uptime|"
    r"facebookexternalhit|facebookcatalog|meta-external|whatsapp|skypeuri|embedly|"
    r"vkshare|google-|googleother|mediapartners|lighthouse|pagespeed|pingdom|headless|"
    r"phantomjs|selenium|proofpoint|barracuda|mimecast|safelinks|urlscan|virustotal|"
    r"^(curl|wget|python|go-http|java|okhttp|axios|node|ruby|perl|php|libwww|http)",
    re.IGNORECASE,
)


def scanner_of(headers: Mapping[str, str]) -> Scanner:
    """Return who requests a page, by the headers; their names are in any case."""
    agent = headers.get("User-Agent") or ""
    # A browser that loads a page in case somebody opens it.
    ahead = headers.get("Sec-Purpose") or headers.get("Purpose") or ""
    if not agent or "prefetch" in ahead or _BOTS.search(agent):
        return "bots"
    return "people"
