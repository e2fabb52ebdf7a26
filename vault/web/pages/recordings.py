"""Recordings: found, each with its life on one line; archived, deleted by two, and who was there
(P24, P26, P31, P54).
"""

from starlette.responses import Response

from vault.catalogue import camera_rows, case_rows, person_rows, recording_rows
from vault.custody.cases import archive, name_present, suggestions
from vault.custody.retention.deletion import delete
from vault.custody.retention.disposition import fate
from vault.custody.search import Search, find, life
from vault.recording import State
from vault.rules.actions import Action
from vault.web.request import Visit
from vault.web.routing import Routes
from vault.web.text.words import read_local

routes = Routes()

FILTERS = ("since", "until", "camera", "person", "case", "without_report", "held", "archived")


@routes.page("/recordings", Action.LIST_RECORDINGS)
def listed(visit: Visit) -> Response:
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
    with visit.vault.reading() as tx:
        cameras = sorted({row.serial for row in camera_rows.all_cameras(tx)})
        persons = [row for row in person_rows.persons(tx) if row.officer]
        cases = case_rows.cases(tx, open_only=True)
    return visit.page(
        "recordings.html",
        found=found,
        asked=asked,
        cameras=cameras,
        persons=persons,
        cases=cases,
        names=visit.names(),
    )


@routes.page("/recordings/{recording}", Action.LIST_RECORDINGS)
def one(visit: Visit) -> Response:
    """Everything that is known of one recording, but no picture of it."""
    vault, recording_id = visit.vault, visit.path("recording")
    found = life(vault, visit.by, recording_id)
    with vault.reading() as tx:
        files = recording_rows.files_of(tx, recording_id)
        there = person_rows.persons_present(tx, recording_id)
    return visit.page(
        "recording.html",
        life=found,
        fate=fate(vault, visit.by, recording_id),
        files=files,
        there=there,
        others=suggestions(vault, [recording_id]) if found.row.destroyed_utc is None else [],
        erased=found.row.state == State.ERASED.value,
        names=visit.names(),
        persons=visit.vault.keyring.persons(),
    )


@routes.deed("/recordings/{recording}/archive", Action.ARCHIVE, again=one)
def put_away(visit: Visit) -> Response:
    archive(visit.vault, visit.by, visit.path("recording"))
    return visit.go(f"/recordings/{visit.path('recording')}", "archived")


@routes.deed("/recordings/{recording}/present", Action.NAME_PRESENT, again=one)
def was_there(visit: Visit) -> Response:
    recording_id = visit.path("recording")
    name_present(visit.vault, visit.by, recording_id, visit.text("person"), visit.text("how"))
    viewing = visit.text("viewing", optional=True)
    return visit.go(
        f"/viewings/{viewing}"
        if viewing.replace("-", "").isalnum()
        else f"/recordings/{recording_id}",
        "present",
    )


@routes.deed("/recordings/{recording}/delete", Action.DELETE, again=one)
def destroy(visit: Visit) -> Response:
    """Before its time, by two, with a reason."""
    recording_id = visit.path("recording")
    reason = visit.text("reason")
    first, second = visit.prove_self(), visit.prove_second()
    delete(visit.vault, first.actor, second.actor, recording_id, reason)
    return visit.go(f"/recordings/{recording_id}", "deleted")
