"""Call tools of an MCP server as an operator's client would, and judge what comes back.

Runs on the controller: needs the official ``mcp`` package, imported when a call is made.
"""

from __future__ import annotations

import json
import logging
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from .mask import mask
from .problems import HostError, Problem
from .regexes import not_regexes

NO_ANSWER = "No response received"
_LONGEST = 2000  # characters of an answer that are returned


class McpError(HostError):
    """A server that cannot be reached, does not answer in time, or answers badly. ``results``: the calls so far."""

    def __init__(self, *problems: Problem, results: Sequence[Result] = ()) -> None:
        super().__init__(*problems)
        self.results = list(results)


@dataclass(frozen=True)
class Server:
    """Either a command to start and talk to over its stdin and stdout, or the URL of a running server."""

    command: str | None = None
    args: Sequence[str] = ()
    env: dict[str, str] = field(default_factory=dict, repr=False)  # added to PATH, HOME and the like only
    chdir: str | None = None
    url: str | None = None
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def where(self) -> str:
        return f"MCP server {mask(self.url or self.command or '')}"

    def secrets(self) -> list[str]:
        """Values that must not be shown, should the server repeat them; short ones would hit innocent text."""
        return [value for value in (*self.env.values(), *self.headers.values()) if len(value) >= 8]


@dataclass(frozen=True)
class Call:
    """One tool call and what counts as a good answer: no ``bad`` pattern in it, and one of ``good`` if any is given.

    Patterns are regular expressions, case ignored. ``wait``: seconds during which it is called again, every
    ``interval`` seconds, until the answer is good. ``fresh``: the same call is first made before all others, and
    an answer equal to that one is an old answer, which is not good.
    """

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict, repr=False)
    good: Sequence[str] = ()
    bad: Sequence[str] = (re.escape(NO_ANSWER),)
    wait: float = 0
    interval: float = 1
    fresh: bool = False

    def fault(self, text: str, is_error: bool, old: str | None) -> str | None:
        """Why this answer is no good one; None when it is. Pure."""
        if is_error:
            return "the tool reported an error"
        if not text.strip():
            return "the answer is empty"
        for pattern in self.bad:
            if re.search(pattern, text, re.IGNORECASE):
                return f"the answer matches {pattern!r}, which is a failure"
        if self.good and not any(re.search(pattern, text, re.IGNORECASE) for pattern in self.good):
            return f"the answer matches none of {', '.join(map(repr, self.good))}"
        if old is not None and text == old:
            return "the answer is the one from before"
        return None


@dataclass
class Result:
    """How one call ended. ``text`` is masked, and cut when very long."""

    tool: str
    ok: bool
    text: str
    attempts: int
    seconds: float
    reason: str | None = None


def check(server: Server, calls: Iterable[Call]) -> None:
    """McpError names every pattern that is no regular expression, and a server given twice or not at all."""
    problems = []
    if bool(server.command) == bool(server.url):
        problems.append(Problem("mcp_server", "MCP server", "needs either command or url", "Give one of them"))
    for call in calls:
        problems += [
            Problem("mcp_pattern", f"tool {call.tool}", f"{pattern!r} is no regular expression", "Correct it")
            for pattern in not_regexes((*call.good, *call.bad))
        ]
    if problems:
        raise McpError(*problems)


def run(server: Server, calls: Sequence[Call], timeout: float) -> list[Result]:
    """Make the calls in their order over one connection; all of it within ``timeout`` seconds.

    Ends at the first call without a good answer: McpError. A server that was started is gone afterwards, at the
    latest some seconds after the timeout (it is asked, then killed with all its children).
    """
    check(server, calls)
    try:
        import anyio
        import mcp
    except ImportError:
        raise McpError(
            Problem(
                "mcp_not_installed",
                "the mcp package",
                "the Python that runs this module does not have it",
                "Delegate the task to localhost with the project's own Python, or: pip install mcp",
            )
        ) from None
    # Its reports quote the server's lines as they are; what matters comes back as an exception.
    logging.getLogger("mcp").addHandler(logging.NullHandler())
    logging.getLogger("mcp").propagate = False
    talk = _Talk(server, calls, mcp, anyio)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        try:
            anyio.run(talk.run, timeout, errors)
        except Exception as error:
            raise talk.failure(error, timeout, _tail(errors)) from None
    return talk.results


class _Talk:
    def __init__(self, server: Server, calls: Sequence[Call], mcp: Any, anyio: Any) -> None:
        self.server, self.calls, self._mcp, self._anyio = server, calls, mcp, anyio
        self.results: list[Result] = []
        self._doing = "starting it" if server.command else "connecting to it"
        self._last: Result | None = None

    async def run(self, timeout: float, errors: Any) -> None:
        with self._anyio.fail_after(timeout):
            async with self._transport(errors) as transport, self._mcp.Client(transport) as client:
                old = {}
                for index, call in enumerate(self.calls):
                    if call.fresh:
                        old[index] = (await self._ask(client, call))[0]
                for index, call in enumerate(self.calls):
                    await self._until_good(client, call, old.get(index))

    @asynccontextmanager
    async def _transport(self, errors: Any) -> AsyncIterator[Any]:
        if self.server.url:
            import httpx2
            from mcp.client.streamable_http import streamable_http_client

            # No timeout of its own for a single read: the one around everything counts.
            async with httpx2.AsyncClient(headers=self.server.headers, timeout=None) as http:
                yield streamable_http_client(self.server.url, http_client=http)
            return
        parameters = self._mcp.StdioServerParameters(
            command=self.server.command,
            args=list(self.server.args),
            env=dict(self.server.env),
            cwd=self.server.chdir,
            encoding_error_handler="replace",
        )
        yield self._mcp.stdio_client(parameters, errlog=errors)

    async def _ask(self, client: Any, call: Call) -> tuple[str, bool]:
        self._doing = f"calling {call.tool}"
        answer = await client.call_tool(call.tool, call.arguments)
        text = "\n".join(part.text for part in answer.content if getattr(part, "text", None))
        if not text and answer.structured_content is not None:
            text = json.dumps(answer.structured_content, ensure_ascii=False)
        return text, bool(answer.is_error)

    async def _until_good(self, client: Any, call: Call, old: str | None) -> None:
        begin, attempts = time.monotonic(), 0
        while True:
            attempts += 1
            text, is_error = await self._ask(client, call)
            reason = call.fault(text, is_error, old)
            shown = mask(text, self.server.secrets())
            shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]} …"
            seconds = time.monotonic() - begin
            self._last = Result(call.tool, reason is None, shown, attempts, round(seconds, 2), reason)
            if reason is None or seconds + call.interval > call.wait:
                break
            await self._anyio.sleep(call.interval)
        self.results.append(self._last)
        if reason is not None:
            tools = await self._tools(client) if is_error else None
            raise _BadAnswerError(self._last, tools)
        self._last = None

    async def _tools(self, client: Any) -> list[str] | None:
        """The server's tools, to tell a wrong name from a tool that failed."""
        try:
            return sorted(tool.name for tool in (await client.list_tools()).tools)
        except self._mcp.MCPError:
            return None

    def failure(self, error: BaseException, timeout: float, said: str) -> McpError:
        """What to tell the operator about whatever came out of the client."""
        secrets = self.server.secrets()
        said = mask(said, secrets)
        errors = [one for one in _leaves(error) if not type(one).__name__.startswith("Cancelled")] or [error]
        bad = next((one for one in errors if isinstance(one, _BadAnswerError)), None)
        if bad:
            return McpError(bad.problem(self.server.where), results=self.results)
        late = next((one for one in errors if isinstance(one, TimeoutError)), None)
        if late:
            text = f"no answer within {timeout:g} s while {self._doing}"
            if self._last:
                text += f"; the last answer was {self._last.text!r}: {self._last.reason}"
            code, remedy = "mcp_timeout", "Look at the server's own log; give a longer timeout if it is only slow"
        else:
            text = mask("; ".join(dict.fromkeys(f"{type(one).__name__}: {one}" for one in errors)), secrets)
            text = f"failed while {self._doing} ({text[:500]})"
            code, remedy = "mcp_failed", "Start it by hand to see why, or check its address and that it runs"
        if said:
            text += f"; it said: {said}"
        return McpError(Problem(code, self.server.where, text, remedy), results=self.results)


class _BadAnswerError(Exception):
    def __init__(self, result: Result, tools: list[str] | None) -> None:
        self.result, self.tools = result, tools

    def problem(self, where: str) -> Problem:
        result, known = self.result, ""
        if self.tools is not None and result.tool not in self.tools:
            known = f" (its tools: {', '.join(self.tools) or 'none'})"
        times = f", asked {result.attempts} times in {result.seconds:g} s" if result.attempts > 1 else ""
        return Problem(
            "mcp_bad_answer",
            f"{where}, tool {result.tool}",
            f"{result.reason}{times}; what came back: {result.text!r}{known}",
            "Look at the bot's error log; if messages do not go out at all, roll back",
        )


def _leaves(error: BaseException) -> list[BaseException]:
    """The single errors inside of (nested) exception groups."""
    inner = getattr(error, "exceptions", None)
    return [leaf for each in inner for leaf in _leaves(each)] if inner else [error]


def _tail(file: Any, lines: int = 3) -> str:
    file.seek(0)
    return " | ".join([line.strip() for line in file.read()[-4000:].splitlines() if line.strip()][-lines:])
