"""Hand-overs to police and prosecutor: made in an open viewing, fetched while it lasts, and their
receipt (P43 to P45).
"""

from collections.abc import Iterator
from pathlib import Path

from starlette.responses import JSONResponse, Response, StreamingResponse

from vault.custody.handover import handover
from vault.custody.handover.handover import HandedOver, Order, hand_over, receive
from vault.custody.handover.package import read_package
from vault.custody.viewing.viewing_requests import VIEWERS, demand_part
from vault.rules.actions import Action
from vault.rules.purposes import PURPOSES, Purpose
from vault.web.packages import Package
from vault.web.request import NotFound, PageRequest
from vault.web.routing import Routes
from vault.web.text.errors import said
from vault.web.text.words import local_input

routes = Routes()


@routes.page("/handovers", Action.LIST_RECORDINGS)
def list_hand_overs(page: PageRequest) -> Response:
    """Every hand-over, the newest first."""
    hand_overs = handover.listed(page.vault, page.by)[::-1]
    now = local_input(page.vault.clock.now())
    return page.render("handovers.html", hand_overs=hand_overs, names=page.names(), now=now)


@routes.deed("/handovers/{handover}/received", Action.HAND_OVER, again=list_hand_overs)
def receipt(page: PageRequest) -> Response:
    receive(
        page.vault,
        page.by,
        page.path("handover"),
        page.text("received_by"),
        page.needed_moment("received"),
    )
    return page.go("/handovers", "receipt")


@routes.deed("/viewings/{viewing}/handover", *VIEWERS)
def make(page: PageRequest) -> Response:
    """Begin the package of an open viewing; it is made beside, and `progress` tells how
    far it is.
    """
    viewing, live_viewings, screen, vault = (
        page.path("viewing"),
        page.application.live_viewings,
        page.screen,
        page.vault,
    )
    receiver, recipient = page.text("receiver"), page.text("recipient")
    with live_viewings.live_viewing(viewing, screen) as live:
        parts = [part for one in live.session.recordings for part in live.session.files(one)]

    def pack(folder: Path) -> HandedOver:
        # The live viewing is held: while a package is made the picture stands still, as one session
        # does one thing at a time.
        with live_viewings.live_viewing(viewing, screen) as held:
            return hand_over(
                vault,
                held.session,
                Order(receiver, recipient, vault.settings.web.municipality, folder),
            )

    # Each recording is packed twice: as its segments, and joined to one file.
    page.application.packages.begin(viewing, 2 * sum(part.size_bytes for part in parts), pack)
    return page.go(f"/viewings/{viewing}/handover")


@routes.page("/viewings/{viewing}/handover", *VIEWERS)
def progress_page(page: PageRequest) -> Response:
    job = _package(page)
    row = demand_part(page.vault, page.by, page.path("viewing"))
    if not PURPOSES[Purpose(row.purpose)].copy:
        raise NotFound("No package is made of this viewing.")
    return page.render(
        "handover_made.html",
        job=job,
        viewing=row.id,
        told=said(job.failure, page.words.language) if job.failure else None,
    )


@routes.page("/viewings/{viewing}/handover/progress", *VIEWERS)
def progress(page: PageRequest) -> Response:
    job = _package(page)
    state = "made" if job.made is not None else "failed" if job.failure is not None else "making"
    return JSONResponse(
        {"state": state, "done_bytes": job.done_bytes, "total_bytes": job.total_bytes}
    )


@routes.page("/viewings/{viewing}/handover/package", *VIEWERS)
def fetch(page: PageRequest) -> Response:
    """The encrypted package, while the viewing is open at this screen."""
    job = _package(page)
    if job.made is None:
        raise NotFound("The package is not made yet.")
    path = job.made.path

    def blocks() -> Iterator[bytes]:
        yield from read_package(path)

    headers = {
        "Content-Length": str(job.made.packed.size_bytes),
        "Content-Disposition": f'attachment; filename="{path.name}"',
    }
    return StreamingResponse(blocks(), media_type="application/octet-stream", headers=headers)


def _package(page: PageRequest) -> Package:
    """The package of a viewing that is open at this screen. Raises NotInRoom, ViewingOver,
    NotFound.
    """
    viewing = page.path("viewing")
    page.application.live_viewings.demand_joined(viewing, page.screen)
    package = page.application.packages.of(viewing)
    if package is None:
        raise NotFound("No package was begun.")
    return package
