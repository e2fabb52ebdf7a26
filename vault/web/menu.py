"""The menu: which entries a person's functions show."""

from dataclasses import dataclass

from vault.custody.viewing.viewing_requests import VIEWERS
from vault.rules.actions import Action
from vault.rules.roles import Role
from vault.web.request import Visit, permitted


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the menu, and what it asks of a visitor."""

    path: str
    nl: str
    en: str
    asks: tuple[Action | Role, ...] | None


MENU = (
    Item("/home", "Begin", "Start", None),
    Item("/mine", "Mijn opnamen", "My recordings", (Action.READ_OWN_VIEWINGS,)),
    Item("/reports", "Vastleggingen", "Reports", (Action.FILE_REPORT, Action.RECEIVE_REPORT)),
    Item("/cameras", "Camera's", "Cameras", (Action.ADD_CAMERA,)),
    Item("/recordings", "Opnamen", "Recordings", (Action.LIST_RECORDINGS,)),
    Item("/cases", "Zaken", "Cases", (Action.LIST_RECORDINGS,)),
    Item("/viewings", "Bekijken", "Viewings", VIEWERS),
    Item("/due", "Vervaldata", "Due", (Action.ASK_WHY,)),
    Item("/handovers", "Overdrachten", "Hand-overs", (Action.LIST_RECORDINGS,)),
    Item("/persons", "Personen", "Persons", (Action.RECORD_ABSENCE,)),
    Item("/figures", "Cijfers", "Figures", (Action.READ_FIGURES,)),
    Item("/log", "Logboek", "Log", (Action.READ_LOG,)),
    Item("/state", "Toestand", "Health", (Action.CHECK,)),
)


def menu(visit: Visit) -> list[Item]:
    """What this visitor may open."""
    return [item for item in MENU if item.asks is None or permitted(visit.by, item.asks) is None]
