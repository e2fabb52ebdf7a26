"""Who is let in to which page, and which page a command of the terminal shows the content of."""

EVERYBODY = frozenset({"Bea", "Carel", "Petra", "Geert", "Vera", "Mo", "Tim"})
BC, CM, PO, GS, VC, MW, TB = (
    {name} for name in ("Bea", "Carel", "Petra", "Geert", "Vera", "Mo", "Tim")
)
TWO = CM | PO
VIEWERS = EVERYBODY - TB
PUBLIC = EVERYBODY | {"stranger"}

MAY: dict[tuple[str, str], set[str] | frozenset[str]] = {
    ("GET", "/"): PUBLIC,
    ("GET", "/sign-in"): PUBLIC,
    ("POST", "/sign-in"): PUBLIC,
    ("GET", "/challenge"): PUBLIC,
    ("POST", "/language"): PUBLIC,
    ("GET", "/home"): EVERYBODY,
    ("POST", "/sign-out"): EVERYBODY,
    ("GET", "/me"): EVERYBODY,
    ("POST", "/me/passphrase"): EVERYBODY,
    ("POST", "/me/key/ask"): EVERYBODY,
    ("POST", "/me/key"): EVERYBODY,
    ("POST", "/me/key/remove"): EVERYBODY,
    ("POST", "/me/screen"): EVERYBODY,
    ("GET", "/reports"): MW | BC | TWO,
    ("GET", "/reports/new"): MW,
    ("POST", "/reports/new"): MW,
    ("GET", "/reports/{report}"): MW | BC | TWO,
    ("POST", "/reports/{report}/receive"): BC | TWO,
    ("GET", "/mine"): MW,
    ("GET", "/mine/{recording}"): MW,
    ("GET", "/cameras"): BC,
    ("GET", "/cameras/new"): BC,
    ("POST", "/cameras/new"): BC,
    ("GET", "/cameras/{serial}"): BC,
    ("POST", "/cameras/{serial}/remove"): BC,
    ("POST", "/cameras/{serial}/assign"): BC,
    ("POST", "/cameras/{serial}/back"): BC,
    ("GET", "/recordings"): TWO,
    ("GET", "/recordings/{recording}"): TWO,
    ("POST", "/recordings/{recording}/archive"): TWO,
    ("POST", "/recordings/{recording}/present"): BC | CM,
    ("POST", "/recordings/{recording}/delete"): TWO,
    ("GET", "/cases"): TWO,
    ("GET", "/cases/new"): TWO,
    ("POST", "/cases/new"): TWO,
    ("GET", "/cases/{case}"): TWO,
    ("POST", "/cases/{case}/extend"): TWO,
    ("POST", "/cases/{case}/decide"): PO,
    ("POST", "/cases/{case}/carried-out"): PO,
    ("POST", "/cases/{case}/objection"): TWO,
    ("POST", "/cases/{case}/objection-decided"): TWO,
    ("POST", "/cases/{case}/close"): TWO,
    ("GET", "/viewings"): VIEWERS,
    ("GET", "/viewings/new"): VIEWERS,
    ("POST", "/viewings/new"): VIEWERS,
    ("GET", "/viewings/{viewing}"): VIEWERS,
    ("POST", "/viewings/{viewing}/approve"): VIEWERS,
    ("POST", "/viewings/{viewing}/refuse"): VIEWERS,
    ("POST", "/viewings/{viewing}/unlock"): VIEWERS,
    ("GET", "/viewings/{viewing}/here"): VIEWERS,
    ("GET", "/viewings/{viewing}/watch"): VIEWERS,
    ("POST", "/viewings/{viewing}/leave"): VIEWERS,
    ("GET", "/viewings/{viewing}/{recording}/playlist.m3u8"): VIEWERS,
    ("GET", "/viewings/{viewing}/{recording}/init.mp4"): VIEWERS,
    ("GET", "/viewings/{viewing}/{recording}/{number:int}.m4s"): VIEWERS,
    ("GET", "/viewings/{viewing}/{recording}/{number:int}.file"): VIEWERS,
    ("GET", "/due"): TWO,
    ("POST", "/due/approve"): TWO,
    ("POST", "/due/clock"): TWO,
    ("POST", "/due/confirm"): TWO,
    ("GET", "/handovers"): TWO,
    ("POST", "/handovers/{handover}/received"): PO,
    ("POST", "/viewings/{viewing}/handover"): VIEWERS,
    ("GET", "/viewings/{viewing}/handover"): VIEWERS,
    ("GET", "/viewings/{viewing}/handover/progress"): VIEWERS,
    ("GET", "/viewings/{viewing}/handover/package"): VIEWERS,
    ("GET", "/persons"): TWO | GS,
    ("POST", "/persons/replace"): TWO | GS,
    ("POST", "/persons/absence/{absence}/end"): TWO | GS,
    ("GET", "/ceremony"): TWO,
    ("POST", "/ceremony"): TWO,
    ("GET", "/log"): TWO,
    ("GET", "/figures"): TWO | GS,
    ("GET", "/figures.csv"): TWO | GS,
    ("GET", "/accountability"): TWO,
    ("GET", "/state"): TWO | TB,
}
"""Who is let in at all. What a verb then says of this case, this recording and this person, the
verbs' own matrix proves.
"""

COMMANDS: dict[tuple[str, ...], str] = {
    ("list",): "/recordings",
    ("why", "{recording}"): "/recordings/{recording}",
    ("due",): "/due",
    ("camera", "list"): "/cameras",
    ("assign", "list"): "/cameras/{serial}",
    ("person", "list"): "/persons",
    ("person", "absences"): "/persons",
    ("report", "list"): "/reports",
    ("report", "missing"): "/reports",
    ("case", "list"): "/cases",
    ("case", "show", "{case}"): "/cases/{case}",
    ("view", "list"): "/viewings",
    ("handover", "list"): "/handovers",
    ("log",): "/log",
    ("figures", "--year", "2026"): "/figures",
    ("account", "--from", "2026-01-01", "--until", "2027-01-01", "-o", "{file}"): (
        "/accountability?from=2026-01-01&until=2027-01-01"
    ),
}
"""Each command that shows persons, reports, recordings, assignments, absences, cameras, viewings,
cases, hand-overs, the log or figures, and the page of the same.
"""


def readers(page: str) -> set[str] | frozenset[str]:
    """Whom a page lets in."""
    return MAY["GET", page.partition("?")[0]]
