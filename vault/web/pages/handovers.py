"""Hand-overs to police and prosecutor: made in an open viewing, fetched while it lasts, and their
receipt (P43 to P45).
"""

from collections.abc import Iterator
from pathlib import Path

from starlette.responses import JSONResponse, Response, StreamingResponse

from vault.custody.handover import handover
from vault.custody.handover.handover import HandedOver, Order, hand_over, read_package, receive
from vault.custody.viewing.viewing_requests import VIEWERS, demand_part
from vault.rules.actions import Action
from vault.rules.purposes import PURPOSES, Purpose
from vault.web.packages import Package
from vault.web.request import NotFound, Visit
from vault.web.routing import Routes
from vault.web.text.errors import said
from vault.web.text.words import local_input

routes = Routes()


@routes.page("/handovers", Action.LIST_RECORDINGS)
def list_hand_overs(visit: Visit) -> Response:
    """Every hand-over, the newest first."""
    hand_overs = handover.listed(visit.vault, visit.by)[::-1]
    now = local_input(visit.vault.clock.now())
    return visit.page("handovers.html", hand_overs=hand_overs, names=visit.names(), now=now)


@routes.deed("/handovers/{handover}/received", Action.HAND_OVER, again=list_hand_overs)
def receipt(visit: Visit) -> Response:
    receive(
        visit.vault,
        visit.by,
        visit.path("handover"),
        visit.text("received_by"),
        visit.needed_moment("received"),
    )
    return visit.go("/handovers", "receipt")


@routes.deed("/viewings/{viewing}/handover", *VIEWERS)
def make(visit: Visit) -> Response:
    """Begin the package of an open viewing; it is made beside, and `progress` tells how
    far it is.
    """
    viewing, rooms, screen, vault = (
        visit.path("viewing"),
        visit.office.rooms,
        visit.screen,
        visit.vault,
    )
    receiver, recipient = visit.text("receiver"), visit.text("recipient")
    with rooms.room(viewing, screen) as room:
        parts = [part for one in room.session.recordings for part in room.session.files(one)]

    def pack(folder: Path) -> HandedOver:
        # The room is held: while a package is made the picture stands still, as one session does
        # one thing at a time.
        with rooms.room(viewing, screen) as held:
            return hand_over(
                vault,
                held.session,
                Order(receiver, recipient, vault.settings.web.municipality, folder),
            )

    # Each recording is packed twice: as its segments, and joined to one file.
    visit.office.packages.begin(viewing, 2 * sum(part.size_bytes for part in parts), pack)
    return visit.go(f"/viewings/{viewing}/handover")


@routes.page("/viewings/{viewing}/handover", *VIEWERS)
def progress_page(visit: Visit) -> Response:
    job = _package(visit)
    row = demand_part(visit.vault, visit.by, visit.path("viewing"))
    if not PURPOSES[Purpose(row.purpose)].copy:
        raise NotFound("No package is made of this viewing.")
    return visit.page(
        "handover_made.html",
        job=job,
        viewing=row.id,
        told=said(job.failure, visit.words.language) if job.failure else None,
    )


@routes.page("/viewings/{viewing}/handover/progress", *VIEWERS)
def progress(visit: Visit) -> Response:
    job = _package(visit)
    state = "made" if job.made is not None else "failed" if job.failure is not None else "making"
    return JSONResponse(
        {"state": state, "done_bytes": job.done_bytes, "total_bytes": job.total_bytes}
    )


@routes.page("/viewings/{viewing}/handover/package", *VIEWERS)
def fetch(visit: Visit) -> Response:
    """The encrypted package, while the viewing is open at this screen."""
    job = _package(visit)
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


def _package(visit: Visit) -> Package:
    """The package of a viewing that is open at this screen. Raises NotInRoom, ViewingOver,
    NotFound.
    """
    viewing = visit.path("viewing")
    visit.office.rooms.demand_joined(viewing, visit.screen)
    package = visit.office.packages.of(viewing)
    if package is None:
        raise NotFound("No package was begun.")
    return package
