"""The start: what waits for whom."""

from starlette.responses import Response

from vault.custody.inbox import inbox
from vault.web.request import Visit
from vault.web.routing import Routes

routes = Routes()


@routes.page("/", public=True)
def go_to_start(visit: Visit) -> Response:
    return visit.go("/home" if visit.session is not None else "/sign-in")


@routes.page("/home")
def show_inbox(visit: Visit) -> Response:
    """What waits for the visitor, by function."""
    return visit.page("home.html", inbox=inbox(visit.vault, visit.by), names=visit.names())
