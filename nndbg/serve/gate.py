"""Who may come in: whoever has the token, at the address that was given out, from its own page."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

HOST = "127.0.0.1"
_TOKEN_BYTES = 32


@dataclass(frozen=True)
class Gate:
    """The address of one server, and its guard.

    A page of another origin cannot read the address, but can open a websocket to any: it is told by
    the header Origin. A name that was made to point here (DNS rebinding) is told by Host.
    """

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(_TOKEN_BYTES), repr=False)

    @property
    def origin(self) -> str:
        """What a browser calls the origin of the page."""
        return f"http://{HOST}:{self.port}"

    @property
    def address(self) -> str:
        """What to open; whoever knows it may come in."""
        return f"{self.origin}/{self.token}/"

    def admits(self, path: str, host: str | None, origin: str | None, is_websocket: bool) -> bool:
        """Whether a request for `path` with these headers may pass.

        Browsers send an origin with every websocket, and one's own with some other requests.
        """
        given = path.removeprefix("/").partition("/")[0]
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return False
        if host != f"{HOST}:{self.port}":
            return False
        return origin == self.origin or (origin is None and not is_websocket)

    def guard(self) -> Middleware:
        """Return the guard, to stand before everything that is served."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            headers = request.headers
            is_websocket = headers.get("Upgrade", "").lower() == "websocket"
            if not self.admits(
                request.path, headers.get("Host"), headers.get("Origin"), is_websocket
            ):
                return web.Response(status=403, text="403: this address needs its token.\n")
            return await handler(request)

        return guarded

    async def sign(self, request: web.Request, response: web.StreamResponse) -> None:
        """Tell the browser to load nothing from elsewhere, and to keep the address to itself."""
        del request
        response.headers["Content-Security-Policy"] = (
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
            f"connect-src 'self' ws://{HOST}:{self.port}; frame-ancestors 'none'; "
            "base-uri 'none'; form-action 'none'"
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
