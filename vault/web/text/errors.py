"""What went wrong, as a page says it: in the reader's language, with what to do at a screen. The
codes are the errors' own. Pure.

In English the error's own sentence stands. In Dutch a sentence stands for its code; what the error
quotes of the protocol is Dutch anyway, and its own sentence is shown beneath as a detail.
"""

import re
from dataclasses import dataclass

from vault.errors import Failure, Reaction

STATUS = {Reaction.REFUSE: 422, Reaction.TRY_AGAIN: 503, Reaction.ALARM: 503}
_STATUS_OF_CODE = {
    "failure": 500,
    "policy.not_allowed": 403,
    "viewing.not_joined": 403,
    "viewing.over": 410,
    "viewing.unknown": 404,
    "cases.unknown": 404,
    "vault.unknown_recording": 404,
    "vault.unknown_camera": 404,
    "web.too_fast": 429,
    "web.form_stale": 403,
    "web.not_found": 404,
    "web.too_much": 413,
}
_QUOTE = re.compile(r"„.*”(?: \((?:protocol|standaard)[^)]*\))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Words:
    nl: str
    nl_hint: str
    en_hint: str


_LOOK = (
    "Zeg het de technisch beheerder; er gaat niets verloren.",
    "Tell the technical administrator; nothing is lost.",
)

_WORDS = {
    "policy.not_allowed": _Words(
        "Dit mag u volgens het protocol niet.",
        "Vraag iemand van wie het de functie is. Een vervanging telt zodra zij bij Personen "
        "is vastgelegd.",
        "Ask a person whose function it is. A replacement counts once it is on record under "
        "Persons.",
    ),
    "vault.wrong_passphrase": _Words(
        "De wachtwoordzin of beveiligingssleutel klopt niet.",
        "Typ de wachtwoordzin opnieuw, let op hoofdletters, of gebruik uw beveiligingssleutel.",
        "Type the passphrase again, mind capitals, or use your security key.",
    ),
    "vault.unknown_person": _Words(
        "Niemand is hier onder deze naam bekend.",
        "Typ de naam zoals zij bij Personen staat, de code van de medewerker, of de afkorting "
        "van de functie.",
        "Type the name as it stands under Persons, the officer's code, or the function's letters.",
    ),
    "web.too_fast": _Words(
        "Te veel verkeerde wachtwoordzinnen achter elkaar.",
        "Wacht even en probeer het opnieuw.",
        "Wait, then try again.",
    ),
    "web.form_stale": _Words(
        "Dit formulier is verlopen of kwam niet van deze pagina.",
        "Laad de pagina opnieuw en vul het formulier nog eens in. Er is niets gewijzigd.",
        "Load the page again and fill in the form once more. Nothing was changed.",
    ),
    "web.form_wrong": _Words(
        "Een veld van het formulier is niet goed ingevuld.",
        "Verbeter het veld dat hieronder genoemd wordt.",
        "Correct the field named below.",
    ),
    "web.not_found": _Words(
        "Deze pagina is er niet.",
        "Ga terug naar het begin en kies uit het menu.",
        "Go back to the start and choose from the menu.",
    ),
    "web.too_much": _Words(
        "Wat u stuurde is te groot voor een formulier.", "Kort de tekst in.", "Shorten the text."
    ),
    "web.ceremony_refused": _Words(
        "De ceremonie kan zo niet beginnen.",
        "Verbeter wat hieronder genoemd wordt. Er is nog niets gemaakt.",
        "Correct what is named. Nothing was made yet.",
    ),
    "web.second_missing": _Words(
        "Hiervoor zijn twee personen nodig.",
        "Laat de tweede persoon de eigen naam en wachtwoordzin invullen.",
        "Let the second person fill in their own name and passphrase.",
    ),
    "viewing.refused": _Words(
        "Dit bekijken kan zo niet geopend of aangevraagd worden.",
        "Kijk bij het verzoek waar het staat: welke zaak, wie erbij hoort, wat bevestigd moet "
        "worden.",
        "See at the request where it stands: which case, who belongs to it, what has to be "
        "confirmed.",
    ),
    "viewing.unknown": _Words(
        "Dit verzoek om te bekijken bestaat niet.",
        "Kies het uit de lijst bij Bekijken.",
        "Choose it from the list under Viewings.",
    ),
    "viewing.over": _Words(
        "Het bekijken is afgelopen; er wordt niets meer getoond.",
        "Open het samen opnieuw als dat nodig is.",
        "Open it together anew where that is needed.",
    ),
    "viewing.not_joined": _Words(
        "Dit scherm doet aan geen open bekijken mee.",
        "Ontgrendel het eerst samen.",
        "Unlock it together first.",
    ),
    "viewing.too_many": _Words(
        "Er zijn te veel opnamen tegelijk in beeld.",
        "Sluit eerst een ander bekijken af.",
        "End another viewing first.",
    ),
    "cases.unknown": _Words(
        "Deze zaak bestaat niet.",
        "Kies de zaak uit de lijst bij Zaken.",
        "Choose the case from the list under Cases.",
    ),
    "cases.refused": _Words(
        "De zaak kan zo niet geregistreerd, besloten of gesloten worden.",
        "Hieronder staat wat er nog ontbreekt.",
        "The sentence says what is still missing.",
    ),
    "reports.refused": _Words(
        "Aan de vastlegging ontbreekt iets, of zij gaat over een opname van een ander.",
        "Vul het genoemde veld in; wat niet te zeggen is, zegt u in woorden.",
        "Fill in the named field; what has no answer is said so in words.",
    ),
    "people.bad_absence": _Words(
        "Deze vervanging kan niet.",
        "Geef een begin vóór het einde, en een vervanger die een ander is dan de afwezige.",
        "Give a start before the end, and a substitute who is another person than the absent one.",
    ),
    "people.security_key_refused": _Words(
        "De beveiligingssleutel kan zo niet gebruikt of toegevoegd worden.",
        "Probeer het opnieuw met de sleutel in de computer, of gebruik de wachtwoordzin.",
        "Try again with the key in the machine, or use the passphrase.",
    ),
    "retention.held": _Words(
        "Een zaak houdt deze opname vast; niets verwijdert haar.",
        "Bij de opname staat welke zaak. Die eindigt zoals haar soort eindigt.",
        "The recording's page names the case. It ends as its kind ends.",
    ),
    "retention.blocked": _Words(
        "Er mag nu niets verwijderd worden.",
        "Twee functionarissen bevestigen de klok of de herstelde lijst bij Vervaldata.",
        "Two officials confirm the clock, or the rebuilt list, under Due.",
    ),
    "retention.reason_missing": _Words(
        "Een verwijdering met de hand vraagt een reden.",
        "Zeg in een zin waarom.",
        "Say why in a sentence.",
    ),
    "handover.refused": _Words(
        "Deze overdracht kan zo niet.",
        "Nodig is een open bekijken voor een aangifte of vordering, met de privacy officer erbij.",
        "It takes an open viewing for a police report or a demand, with the privacy officer in it.",
    ),
    "package.bad_recipient": _Words(
        "De sleutel van de ontvanger is geen age-sleutel.",
        "Vraag de ontvanger om de openbare sleutel: die begint met age1.",
        "Ask the receiver for their age public key: it begins with age1.",
    ),
    "vault.unknown_recording": _Words(
        "Deze opname is er niet (meer).",
        "Kies haar uit de lijst bij Opnamen.",
        "Choose it from the list under Recordings.",
    ),
    "vault.unknown_camera": _Words(
        "Deze camera is niet geregistreerd.",
        "De boa-coördinator voegt haar toe bij Camera's. De camera houdt haar opnamen.",
        "The coordinator adds it under Cameras. The camera keeps its recordings.",
    ),
    "vault.camera_exists": _Words(
        "Er is al een camera met dit nummer geregistreerd.",
        "Verwijder eerst de oude registratie, en voeg de camera dan met haar nieuwe sleutel toe.",
        "Remove the old registration first, then add the camera with its new key.",
    ),
    "vault.pair_refused": _Words(
        "Deze verdeling van functies en sleutels laat het protocol niet toe.",
        "Hieronder staat welke regel niet klopt.",
        "The sentence says which rule it breaks.",
    ),
    "vault.full": _Words(
        "De schijf van de kluis is bijna vol.",
        "Er is ruimte nodig op de schijf. De camera's houden hun opnamen; er wordt niets "
        "verwijderd om plaats te maken.",
        "The vault's disk needs room. The cameras keep their recordings; nothing is deleted "
        "to make room.",
    ),
    "vault.cannot_open": _Words(
        "Dit bestand of deze sleutel gaat niet open.",
        "Met een ander tweetal lukt het misschien; anders zoekt de technisch beheerder het "
        "uit met `vault verify`.",
        "Another pair may succeed; else the technical administrator looks into it with `vault "
        "verify`.",
    ),
    "log.witness_failed": _Words(
        "De getuige van het logboek antwoordt niet. Zonder getuige wordt er niets getoond.",
        "Probeer het later opnieuw, of zeg het de technisch beheerder.",
        "Try again later, or tell the technical administrator.",
    ),
    "vault.exists": _Words(
        "Er is hier al een kluis.",
        "Een bestaande kluis wordt nooit overschreven.",
        "An existing vault is never overwritten.",
    ),
    "backup.other_log": _Words(
        "De back-up op dit medium is nieuwer dan deze kluis.",
        "Er is niets op veranderd. Herstel ervan, of leg het medium weg en gebruik een ander.",
        "Nothing on it was changed. Restore from it, or put the medium aside and use another one.",
    ),
}
_UNKNOWN = _Words("Het lukte niet.", *_LOOK)


@dataclass(frozen=True, slots=True)
class Said:
    """An error on a page: the sentence, what to do, what it quotes of the protocol, the detail, the
    code, the HTTP status.
    """

    sentence: str
    hint: str
    quote: str
    detail: str
    code: str
    status: int


def said(failure: Failure, language: str) -> Said:
    """What a page says of an error."""
    words = _WORDS.get(failure.code, _UNKNOWN)
    status = _STATUS_OF_CODE.get(failure.code, STATUS[failure.reaction])
    found = _QUOTE.search(failure.sentence)
    quote = found.group(0) if found else ""
    own = failure.sentence.replace(quote, "").strip() if quote else failure.sentence
    if language == "en":
        return Said(own, words.en_hint, quote, "", failure.code, status)
    return Said(words.nl, words.nl_hint, quote, own, failure.code, status)
