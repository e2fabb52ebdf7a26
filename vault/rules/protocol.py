"""The protocol's own sentences, that the rules of `policy.py` rest on and its refusals quote. Pure.

Each in the protocol's Dutch with its lines (`obligations.md`), and in our English. Where the
protocol is silent, the default that the project follows (Q1 to Q14) stands in its place, so marked.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the protocol: its lines (or the default it follows), its own Dutch, and our
    English.
    """

    lines: str
    nl: str
    en: str

    def quoted(self) -> str:
        """As a refusal ends: the sentence in the protocol's own words, and where it stands."""
        where = (
            f"protocol, regel {self.lines}"
            if self.lines[0].isdigit()
            else f"standaard {self.lines}"
        )
        return f"„{self.nl}” ({where})"


REPORT = Sentence(
    "54-56",
    "Wanneer de bodycam is aangezet door de medewerker dan legt hij dit gebruik, voor het "
    "einde van de dienst, direct vast "
    "en maakt hier melding van bij de boa-coördinator, en indien afwezig, de clustermanager "
    "Veiligheid en Handhaving.",
    "The officer records each use before the end of the shift and reports it to the "
    "coordinator, or in absence the cluster "
    "manager.",
)
BACK_OFFICE = Sentence(
    "60-62",
    "Het beheer van de beelden ligt bij de gemeente Heusden in de functie van clustermanager "
    "Veiligheid en Handhaving, de "
    "privacy officer en de boa-coördinator. Zij hebben toegang tot de back office van de "
    "applicatie om handelingen uit te "
    "voeren.",
    "Management lies with the cluster manager, the privacy officer and the coordinator; they "
    "have access to the back office.",
)
CAMERAS_ONLY = Sentence(
    "62-63",
    "De boa-coördinator mag alleen bodycams toevoegen of verwijderen aan het systeem.",
    "The coordinator may only add cameras to the system or remove them from it.",
)
MANAGE = Sentence(
    "63-65",
    "De clustermanager Veiligheid en Handhaving en de privacy officer mogen opgenomen beelden "
    "archiveren, overdragen of "
    "verwijderen.",
    "The cluster manager and the privacy officer may archive, transfer or delete recordings.",
)
RETENTION = Sentence(
    "67-69",
    "De bewaartermijn voor de camerabeelden is 28 dagen. Als er in die periode geen aangifte, "
    "klacht of verzoek tot inzage "
    "voor een incident is gedaan of gekomen, worden de beelden automatisch verwijderd.",
    "Recordings are kept for 28 days, and deleted automatically unless a police report, "
    "complaint or access request came in.",
)
ACCESS_HOLD = Sentence(
    "69-72",
    "Heeft een bodycam een bepaald incident opgenomen waarvoor een verzoek tot inzage is "
    "ontvangen, dan worden de beelden "
    "bewaard totdat er een definitief besluit is genomen door de Privacy Officer en "
    "uitvoering is gegeven op het verzoek "
    "tot inzage.",
    "On an access request recordings are kept until the privacy officer's final decision was "
    "taken and carried out.",
)
COMPLAINT_HOLD = Sentence(
    "72-73",
    "In dat geval blijven de beelden bewaard tot de klachtenprocedure is afgerond.",
    "On a complaint recordings are kept until the procedure is finished.",
)
PROSECUTION_HOLD = Sentence(
    "73-75",
    "Bij het doen van aangifte of een vordering door het Openbaar Ministerie voor de beelden "
    "worden deze bewaard totdat het "
    "Openbaar Ministerie akkoord geeft tot vernietiging.",
    "On a police report or a demand recordings are kept until the public prosecutor agrees to "
    "their destruction.",
)
VIEWERS = Sentence(
    "78-80",
    "De toegang tot de opgenomen beelden en daarmee het bekijken van de opgenomen beelden, is "
    "belegd bij de "
    "boa-coördinator, clustermanager Veiligheid en Handhaving, privacy officer, "
    "gemeentesecretaris en "
    "veiligheidscoördinator.",
    "Access to the recordings lies with the coordinator, cluster manager, privacy officer, "
    "municipal secretary and safety "
    "coordinator.",
)
IN_TWOS = Sentence(
    "83",
    "In ieder geval worden de beelden altijd in tweetal bekeken.",
    "Recordings are always viewed by two persons.",
)
REPLACEMENT = Sentence(
    "83-85",
    "Bij afwezigheid van een van de genoemde functionarissen gelden de reguliere afspraken "
    "voor vervanging.",
    "In the absence of one of these officials the regular arrangements for replacement apply.",
)
REASON = Sentence(
    "87",
    "Toegang tot de beelden is afhankelijk van de reden waarvoor de beelden worden bekeken.",
    "Access depends on the reason for which recordings are viewed.",
)
PROSECUTION = Sentence(
    "88-91",
    "Op verzoek/vordering van het openbaar ministerie danwel bij het doen van aangifte kunnen "
    "de beelden gedeeld worden met "
    "politie en/of openbaar ministerie (OM).",
    "On request or demand of the prosecutor, or upon a police report, recordings can be "
    "shared with police and prosecutor.",
)
PROVIDE = Sentence(
    "91-92",
    "De beelden worden door de Privacy officer, bij vervanging de clustermanager Veiligheid "
    "en handhaving, digitaal verstrekt.",
    "Recordings are provided digitally by the privacy officer, or as substitute the cluster "
    "manager.",
)
AGGRESSION = Sentence(
    "81-82",
    "De veiligheidscoördinator is betrokken wanneer er aangifte wordt gedaan van strafbare "
    "feiten conform het agressieprotocol.",
    "The safety coordinator is involved when offences are reported under the aggression protocol.",
)
COMPLAINT = Sentence(
    "95-96",
    "In dit kader worden de beelden bekeken door de clustermanager en de gemeentesecretaris.",
    "For a complaint recordings are viewed by the cluster manager and the municipal secretary.",
)
ACCESS = Sentence(
    "100-101",
    "Bij het bekijken van de beelden zijn twee medewerkers aanwezig, waaronder de privacy officer.",
    "Two members of staff are present, one of them the privacy officer.",
)
NO_COPY = Sentence(
    "101-102",
    "Er mag onder geen beding een kopie (beeld, geluid, opname) gemaakt worden.",
    "Under no circumstances may a copy be made.",
)
LEARNING_REQUEST = Sentence(
    "104-105",
    "De medewerker mag bij de boa-coördinator aanvragen of hij/zij beelden kan terugkijken "
    "met als doel leerervaring.",
    "The officer may ask the coordinator to view recordings back, to learn from them.",
)
LEARNING_OWN = Sentence(
    "106-110",
    "Dit kunnen uitsluitend beelden zijn waar de medewerker zelf op staat of die de "
    "medewerker zelf heeft opgenomen.",
    "These can only be recordings that the officer is on or made.",
)
LEARNING_PAIR = Sentence(
    "110-111",
    "De medewerker bekijkt de beelden samen met de coördinator terug.",
    "The officer views the recordings together with the coordinator.",
)
LEARNING_CONFLICT = Sentence(
    "111-112",
    "Als de boa-coördinator zelf de beelden heeft gemaakt of daarbij aanwezig was wordt de "
    "rol van de boa-coördinator "
    "overgenomen door de clustermanager.",
    "Where the coordinator made the recordings or was present, the cluster manager takes the "
    "coordinator's place.",
)
ON_LOCATION = Sentence(
    "112-113",
    "De beelden worden op de gemeentelocatie bekeken waarbij er geen derden mee kunnen kijken.",
    "Recordings are viewed at the municipal location, with no third party able to watch along.",
)
ASSESSED = Sentence(
    "117-118",
    "Elk verzoek tot inzage door een betrokkene of diens belangenbehartiger wordt individueel "
    "beoordeeld door de privacy "
    "officer.",
    "Each access request is assessed individually by the privacy officer.",
)
OBJECTION = Sentence(
    "120-121",
    "Tegen het besluit om niet te voldoen aan het verzoek kan verzoeker bezwaar instellen.",
    "Against the decision to refuse, the requester can object.",
)
SECOND_DELETES = Sentence(
    "Q8",
    "Verwijderen vóór de bewaartermijn om is vraagt een reden en een tweede persoon: de "
    "clustermanager en de privacy "
    "officer samen.",
    "To delete before the retention period is over takes a reason and a second person: "
    "cluster manager and privacy officer "
    "together.",
)
CONCERNED = Sentence(
    "Q14",
    "Wie zelf onderwerp van de zaak is, de beelden maakte of daarbij aanwezig was, doet "
    "hieraan niet mee; een bij naam "
    "genoemde vervanger neemt de plaats in.",
    "Whoever is the subject, made the recording or was present takes no part; a named "
    "delegate takes the seat.",
)
ADMINISTRATOR = Sentence(
    "Q10",
    "De technisch beheerder heeft geen toegang tot beelden en tot niemands gegevens; alleen "
    "de juistheid van kluis en "
    "logboek is na te gaan.",
    "The technical administrator sees no recordings and nobody's data; only whether vault and "
    "log are sound.",
)
LOG_READERS = Sentence(
    "82-83",
    "Er wordt geregistreerd wanneer en door wie de opgenomen beelden worden bekeken.",
    "When and by whom recordings are viewed is registered.",
)
