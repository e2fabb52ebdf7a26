"""What a page says after an action succeeded."""

DEEDS = {
    "signed": ("U bent aangemeld.", "You are signed in."),
    "passphrase": (
        "Uw wachtwoordzin is gewijzigd; uw andere schermen zijn afgemeld.",
        "Your passphrase is changed; your other screens are signed out.",
    ),
    "key-added": ("De beveiligingssleutel is toegevoegd.", "The security key was added."),
    "key-removed": ("De beveiligingssleutel is verwijderd.", "The security key was removed."),
    "session-ended": ("Dat scherm is afgemeld.", "That screen is signed out."),
    "report": ("De vastlegging is gemeld.", "The report was filed."),
    "received": ("De vastlegging is ontvangen.", "The report was received."),
    "camera": ("De camera is geregistreerd.", "The camera is registered."),
    "camera-removed": (
        "De camera is verwijderd; haar opnamen blijven.",
        "The camera was removed; its recordings stay.",
    ),
    "assigned": ("De camera is toegewezen.", "The camera was assigned."),
    "taken-back": ("De camera is bij niemand meer.", "Nobody carries the camera any more."),
    "archived": (
        "De opname is gearchiveerd. Zij vervalt zoals tevoren.",
        "The recording was archived. It falls due as before.",
    ),
    "present": ("Het is vastgelegd.", "It was written down."),
    "deleted": (
        "De opname is vernietigd. Het bewijs staat in het logboek.",
        "The recording was destroyed. The proof stands in the log.",
    ),
    "case": (
        "De zaak is geregistreerd; haar opnamen worden vastgehouden.",
        "The case is registered; its recordings are held.",
    ),
    "extended": ("De opnamen worden vastgehouden.", "The recordings are held."),
    "decided": ("Het besluit is vastgelegd.", "The decision was recorded."),
    "carried-out": ("De uitvoering is vastgelegd.", "That it was carried out was recorded."),
    "objection": (
        "Het bezwaar is geregistreerd; de opnamen blijven.",
        "The objection is registered; the recordings stay.",
    ),
    "closed": ("De zaak is gesloten.", "The case is closed."),
    "requested": ("Het bekijken is aangevraagd.", "The viewing is requested."),
    "approved": ("Het verzoek is goedgekeurd.", "The request is approved."),
    "refused": ("Het verzoek is afgewezen.", "The request is refused."),
    "left": ("Het bekijken is voor beiden afgelopen.", "The viewing has ended for both."),
    "sweep": ("Goedgekeurd voor de volgende ronde.", "Approved for the next sweep."),
    "clock": ("De klok is bevestigd.", "The clock is confirmed."),
    "confirmed": ("De lijst is bevestigd.", "The list is confirmed."),
    "receipt": ("De verantwoordelijkheid is overgedragen.", "The responsibility is passed on."),
    "absence": ("De vervanging is vastgelegd.", "The replacement is on record."),
    "absence-ended": ("De vervanging is beëindigd.", "The replacement has ended."),
    "keyring": ("De sleutelbos is gewijzigd.", "The keyring was changed."),
}


def deeds(code: str) -> tuple[str, str]:
    """What a page says was done; an unknown code says nothing in particular."""
    return DEEDS.get(code, ("Gedaan.", "Done."))
