"""Recordings: found, each with its life on one line; archived, deleted by two, and who was there
(P24, P26, P31, P54).
"""

from starlette.responses import Response

from vault.custody.cases import archive, name_present
from vault.custody.retention.deletion import delete
from vault.custody.search import Search, filters, find, read
from vault.recording import State
from vault.rules.actions import Action
from vault.web.request import PageRequest
from vault.web.routing import Routes
from vault.web.text.words import read_local

routes = Routes()

FILTERS = ("since", "until", "camera", "person", "case", "without_report", "held", "archived")


@routes.page("/recordings", Action.LIST_RECORDINGS)
def list_recordings(page: PageRequest) -> Response:
    """What fits the search, newest first."""
    asked = {name: page.query(name) for name in FILTERS}
    search = Search(
        since=read_local(asked["since"]),
        until=read_local(asked["until"]),
        camera=asked["camera"] or None,
        person=asked["person"] or None,
        case=asked["case"] or None,
        without_report=asked["without_report"] == "yes",
        held=asked["held"] == "yes",
        archived=asked["archived"] == "yes",
        page=page.page_number(),
    )
    found = find(page.vault, page.by, search)
    choices = filters(page.vault, page.by)
    return page.render(
        "recordings.html",
        found=found,
        asked=asked,
        cameras=choices.cameras,
        officers=choices.officers,
        cases=choices.cases,
        names=page.names(),
    )


@routes.page("/recordings/{recording}", Action.LIST_RECORDINGS)
def show_recording(page: PageRequest) -> Response:
    """Everything that is known of one recording, but no picture of it."""
    found = read(page.vault, page.by, page.path("recording"))
    return page.render(
        "recording.html",
        life=found.life,
        disposition=found.disposition,
        files=found.files,
        present=found.present,
        others=found.others,
        erased=found.life.row.state == State.ERASED.value,
        names=page.names(),
        persons=page.vault.keyring.persons(),
    )


@routes.deed("/recordings/{recording}/archive", Action.ARCHIVE, again=show_recording)
def archive_recording(page: PageRequest) -> Response:
    archive(page.vault, page.by, page.path("recording"))
    return page.go(f"/recordings/{page.path('recording')}", "archived")


@routes.deed("/recordings/{recording}/present", Action.NAME_PRESENT, again=show_recording)
def record_presence(page: PageRequest) -> Response:
    recording_id = page.path("recording")
    name_present(page.vault, page.by, recording_id, page.text("person"), page.text("how"))
    viewing = page.text("viewing", optional=True)
    return page.go(
        f"/viewings/{viewing}"
        if viewing.replace("-", "").isalnum()
        else f"/recordings/{recording_id}",
        "present",
    )


@routes.deed("/recordings/{recording}/delete", Action.DELETE, again=show_recording)
def delete_recording(page: PageRequest) -> Response:
    """Before its time, by two, with a reason."""
    recording_id = page.path("recording")
    reason = page.text("reason")
    first, second = page.prove_self(), page.prove_second()
    delete(page.vault, first.actor, second.actor, recording_id, reason)
    return page.go(f"/recordings/{recording_id}", "deleted")
