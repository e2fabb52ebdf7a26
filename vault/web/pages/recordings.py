"""Recordings: found, each with its life on one line; archived, deleted by two, and who was there
(P24, P26, P31, P54).
"""

from starlette.responses import Response

from vault.custody.cases import archive, name_present
from vault.custody.retention.deletion import delete
from vault.custody.search import Search, filters, find, read
from vault.recording import State
from vault.rules.actions import Action
from vault.web.request import Visit
from vault.web.routing import Routes
from vault.web.text.words import read_local

routes = Routes()

FILTERS = ("since", "until", "camera", "person", "case", "without_report", "held", "archived")


@routes.page("/recordings", Action.LIST_RECORDINGS)
def list_recordings(visit: Visit) -> Response:
    """What fits the search, newest first."""
    asked = {name: visit.query(name) for name in FILTERS}
    search = Search(
        since=read_local(asked["since"]),
        until=read_local(asked["until"]),
        camera=asked["camera"] or None,
        person=asked["person"] or None,
        case=asked["case"] or None,
        without_report=asked["without_report"] == "yes",
        held=asked["held"] == "yes",
        archived=asked["archived"] == "yes",
        page=visit.page_number(),
    )
    found = find(visit.vault, visit.by, search)
    choices = filters(visit.vault, visit.by)
    return visit.page(
        "recordings.html",
        found=found,
        asked=asked,
        cameras=choices.cameras,
        officers=choices.officers,
        cases=choices.cases,
        names=visit.names(),
    )


@routes.page("/recordings/{recording}", Action.LIST_RECORDINGS)
def show_recording(visit: Visit) -> Response:
    """Everything that is known of one recording, but no picture of it."""
    found = read(visit.vault, visit.by, visit.path("recording"))
    return visit.page(
        "recording.html",
        life=found.life,
        disposition=found.disposition,
        files=found.files,
        present=found.present,
        others=found.others,
        erased=found.life.row.state == State.ERASED.value,
        names=visit.names(),
        persons=visit.vault.keyring.persons(),
    )


@routes.deed("/recordings/{recording}/archive", Action.ARCHIVE, again=show_recording)
def archive_recording(visit: Visit) -> Response:
    archive(visit.vault, visit.by, visit.path("recording"))
    return visit.go(f"/recordings/{visit.path('recording')}", "archived")


@routes.deed("/recordings/{recording}/present", Action.NAME_PRESENT, again=show_recording)
def record_presence(visit: Visit) -> Response:
    recording_id = visit.path("recording")
    name_present(visit.vault, visit.by, recording_id, visit.text("person"), visit.text("how"))
    viewing = visit.text("viewing", optional=True)
    return visit.go(
        f"/viewings/{viewing}"
        if viewing.replace("-", "").isalnum()
        else f"/recordings/{recording_id}",
        "present",
    )


@routes.deed("/recordings/{recording}/delete", Action.DELETE, again=show_recording)
def delete_recording(visit: Visit) -> Response:
    """Before its time, by two, with a reason."""
    recording_id = visit.path("recording")
    reason = visit.text("reason")
    first, second = visit.prove_self(), visit.prove_second()
    delete(visit.vault, first.actor, second.actor, recording_id, reason)
    return visit.go(f"/recordings/{recording_id}", "deleted")
