"""Routes: which address is served by which handler, and what it demands."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from vault.rules.actions import Action
from vault.rules.roles import Role
from vault.web.request import PageRequest

Handler = Callable[[PageRequest], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """A page or a deed. `asks`: any of these lets a visitor in; None: everybody who is signed in;
    `public`: nobody need be.

    `again`: the page that shows the form once more when a deed is refused.
    """

    method: str
    path: str
    handler: Handler
    asks: tuple[Action | Role, ...] | None = None
    public: bool = False
    again: Handler | None = None


class Routes:
    """The routes of one module."""

    def __init__(self) -> None:
        self.found: list[Route] = []

    def page(
        self, path: str, *asks: Action | Role, public: bool = False
    ) -> Callable[[Handler], Handler]:
        """GET."""

        def declare(handler: Handler) -> Handler:
            self.found.append(Route("GET", path, handler, asks or None, public))
            return handler

        return declare

    def deed(
        self, path: str, *asks: Action | Role, public: bool = False, again: Handler | None = None
    ) -> Callable[[Handler], Handler]:
        """POST."""

        def declare(handler: Handler) -> Handler:
            self.found.append(Route("POST", path, handler, asks or None, public, again))
            return handler

        return declare
