"""Cameras: registered with a comparison of fingerprints, removed, assigned; overdue ones, their
clocks and gaps (P25).
"""

import base64
import json

from starlette.responses import Response

from vault.catalogue import report_rows
from vault.custody.camera_list import Fleet, add_camera, fingerprint, fleet, remove_camera
from vault.custody.reports import assign, take_back
from vault.rules.actions import Action
from vault.web.request import FormWrong, NotFound, Visit
from vault.web.routing import Routes

routes = Routes()


@routes.page("/cameras", Action.ADD_CAMERA)
def listed(visit: Visit) -> Response:
    return visit.page("cameras.html", fleet=_fleet(visit), names=visit.names())


def _fleet(visit: Visit) -> list[Fleet]:
    return fleet(visit.vault, visit.by)


@routes.page("/cameras/new", Action.ADD_CAMERA)
def blank(visit: Visit) -> Response:
    return visit.page("camera_new.html", shown=None)


@routes.deed("/cameras/new", Action.ADD_CAMERA, again=blank)
def add(visit: Visit) -> Response:
    """First the card's own words are read and the key's fingerprint shown; with the fingerprint
    confirmed it is registered.
    """
    serial, key, model = _described(visit)
    shown = fingerprint(base64.b64decode(key))
    if visit.text("compared", optional=True) != "yes":
        return visit.page("camera_new.html", shown=shown, serial=serial, model=model, key=key)
    add_camera(visit.vault, visit.by, serial, key, model)
    return visit.go("/cameras", "camera")


def _described(visit: Visit) -> tuple[str, str, str]:
    """Serial, key and model, from the card's device.json or typed for a camera that signs nothing.
    Raises FormWrong.
    """
    t = visit.words.t
    text = visit.text("device", optional=True)
    if not text:
        serial = visit.text("serial", optional=True)
        if not serial:
            raise FormWrong(
                t(
                    "Geef de inhoud van device.json, of een serienummer.",
                    "Give device.json, or a serial number.",
                )
            )
        return serial, visit.text("key", optional=True), visit.text("model", optional=True) or "-"
    try:
        found = json.loads(text)
        serial, key, model = str(found["serial"]), str(found["public_key"]), str(found["model"])
        if len(base64.b64decode(key, validate=True)) != 32:
            raise ValueError("key")
    except (ValueError, TypeError, KeyError) as error:
        raise FormWrong(
            t(
                "Dit is geen device.json: neem het bestand van de kaart van de camera zelf.",
                "This is no device.json: take the file from the camera's own card.",
            )
        ) from error
    return serial, key, model


@routes.page("/cameras/{serial}", Action.ADD_CAMERA)
def one(visit: Visit) -> Response:
    serial = visit.path("serial")
    found = next((row for row in _fleet(visit) if row.camera.serial == serial), None)
    if found is None:
        raise NotFound("There is no such camera.")
    with visit.vault.reading() as tx:
        rows = report_rows.assignments(tx, serial)
    officers = [
        (form.person, f"{form.name} ({form.officer})")
        for form in visit.vault.keyring.persons()
        if form.officer
    ]
    return visit.page(
        "camera.html",
        one=found,
        rows=rows,
        officers=officers,
        names=visit.names(),
        print=fingerprint(found.camera.public_key),
    )


@routes.deed("/cameras/{serial}/remove", Action.REMOVE_CAMERA, again=one)
def remove(visit: Visit) -> Response:
    remove_camera(visit.vault, visit.by, visit.path("serial"))
    return visit.go("/cameras", "camera-removed")


@routes.deed("/cameras/{serial}/assign", Action.ASSIGN_CAMERA, again=one)
def assign_to(visit: Visit) -> Response:
    assign(
        visit.vault,
        visit.by,
        visit.path("serial"),
        visit.text("person"),
        visit.moment("since", optional=True),
    )
    return visit.go(f"/cameras/{visit.path('serial')}", "assigned")


@routes.deed("/cameras/{serial}/back", Action.ASSIGN_CAMERA, again=one)
def back(visit: Visit) -> Response:
    take_back(visit.vault, visit.by, visit.path("serial"))
    return visit.go(f"/cameras/{visit.path('serial')}", "taken-back")
