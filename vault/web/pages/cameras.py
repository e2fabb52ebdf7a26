"""Cameras: registered with a comparison of fingerprints, removed, assigned; overdue ones, their
clocks and gaps (P25).
"""

import base64
import json

from starlette.responses import Response

from vault.custody import assignments, camera_list
from vault.custody.camera_list import add_camera, fingerprint, remove_camera
from vault.custody.reports import assign, take_back
from vault.rules.actions import Action
from vault.web.request import FormWrong, NotFound, Visit
from vault.web.routing import Routes

routes = Routes()


@routes.page("/cameras", Action.ADD_CAMERA)
def list_cameras(visit: Visit) -> Response:
    """The cameras that are registered."""
    cameras = camera_list.listed(visit.vault, visit.by)
    return visit.page("cameras.html", cameras=cameras, names=visit.names())


@routes.page("/cameras/new", Action.ADD_CAMERA)
def camera_form(visit: Visit) -> Response:
    return visit.page("camera_new.html", shown=None)


@routes.deed("/cameras/new", Action.ADD_CAMERA, again=camera_form)
def register_camera(visit: Visit) -> Response:
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
def show_camera(visit: Visit) -> Response:
    """One camera: who carried it, and what the dock said of it."""
    serial = visit.path("serial")
    cameras = camera_list.listed(visit.vault, visit.by)
    found = next((one for one in cameras if one.camera.serial == serial), None)
    if found is None:
        raise NotFound("There is no such camera.")
    officers = [
        (form.person, f"{form.name} ({form.officer})")
        for form in visit.vault.keyring.persons()
        if form.officer
    ]
    return visit.page(
        "camera.html",
        one=found,
        rows=assignments.listed(visit.vault, visit.by, serial),
        officers=officers,
        names=visit.names(),
        print=fingerprint(found.camera.public_key),
    )


@routes.deed("/cameras/{serial}/remove", Action.REMOVE_CAMERA, again=show_camera)
def remove(visit: Visit) -> Response:
    remove_camera(visit.vault, visit.by, visit.path("serial"))
    return visit.go("/cameras", "camera-removed")


@routes.deed("/cameras/{serial}/assign", Action.ASSIGN_CAMERA, again=show_camera)
def assign_to(visit: Visit) -> Response:
    assign(
        visit.vault,
        visit.by,
        visit.path("serial"),
        visit.text("person"),
        visit.moment("since", optional=True),
    )
    return visit.go(f"/cameras/{visit.path('serial')}", "assigned")


@routes.deed("/cameras/{serial}/back", Action.ASSIGN_CAMERA, again=show_camera)
def take_camera_back(visit: Visit) -> Response:
    take_back(visit.vault, visit.by, visit.path("serial"))
    return visit.go(f"/cameras/{visit.path('serial')}", "taken-back")
