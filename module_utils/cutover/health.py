"""What the app says of itself: which store each login is on, and the digest of its identity."""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

from ..node_host.problems import HostError, Problem

_POLL = 0.05  # seconds
_NO_ANSWER = (OSError, http.client.HTTPException, ValueError)  # the last: no URL
# The address is the host's own: what the user's environment names as a proxy cannot reach it.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def wait(url: str, store: str, identities: Mapping[str, str], timeout: float) -> None:
    """Return as soon as the health endpoint says that every login is on `store`, with the identity it had.

    `identities`: digest by company, empty where it is not known. Raises HostError after `timeout` seconds, or at once
    for another identity: then the app has made a new login.
    """
    deadline, answer = time.monotonic() + timeout, "no answer"
    while time.monotonic() < deadline:
        said = ask(url)
        if said is not None:
            answer = ", ".join(f"company {company} on {facts.get('store')}" for company, facts in said.items())
            for company, identity in identities.items():
                have = said.get(company, {})
                if have.get("store") == store and identity and have.get("identity") not in (None, identity):
                    raise HostError(
                        Problem(
                            "identity_changed",
                            f"company {company}",
                            "the app came up with another identity: it did not find the login and made a new one",
                            "Do not pair the phone again: the login that works is in the other store and in the backup",
                        )
                    )
            if all(said.get(company, {}).get("store") == store for company in identities):
                return
        time.sleep(_POLL)
    raise HostError(
        Problem(
            "health",
            url,
            f"after {timeout:g} s the app does not say that its logins are on the {store} (it says: {answer})",
            "Look at its error log: pm2 logs --nostream --err --lines 100. For a code without such an endpoint:"
            " the same again with -e health_url=",
        )
    )


def ask(url: str) -> dict[str, dict[str, Any]] | None:
    """What it says now, by company; None where it does not answer."""
    try:
        return _ask(url)
    except (*_NO_ANSWER, _MisfitError):
        return None


def misfit(url: str) -> str | None:
    """Why what it answers is none of this; None where it is, and where nobody answers. An empty URL means none."""
    try:
        said = _ask(url) if url else {}
        if not said or any("store" in facts for facts in said.values()):
            return None
    except _MisfitError:
        pass
    except _NO_ANSWER:
        return None
    return "It does not say of each company on which store its login is: a deploy would wait for that in vain"


class _MisfitError(Exception):
    pass


def _ask(url: str) -> dict[str, dict[str, Any]]:
    with _DIRECT.open(url, timeout=2) as response:
        body = response.read()
    try:
        return {str(each["company_id"]): each for each in json.loads(body)["companies"]}
    except (ValueError, KeyError, TypeError):
        raise _MisfitError from None
