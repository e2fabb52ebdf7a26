"""The start: what waits for whom."""

from starlette.responses import Response

from vault.custody.inbox import inbox
from vault.web.request import PageRequest
from vault.web.routing import Routes

routes = Routes()


@routes.page("/", public=True)
def go_to_start(page: PageRequest) -> Response:
    return page.go("/home" if page.session is not None else "/sign-in")


@routes.page("/home")
def show_inbox(page: PageRequest) -> Response:
    """What waits for the visitor, by function."""
    return page.render("home.html", inbox=inbox(page.vault, page.by), names=page.names())
