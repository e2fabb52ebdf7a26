"""Due dates, what a sweep asks for, deletions, and the clock (P31, F1, F4)."""

from starlette.responses import Response

from vault.custody.retention.clock_confirmation import confirm_clock, look_at_clock
from vault.custody.retention.confirmation import confirm, unconfirmed_since
from vault.custody.retention.disposition import destroyed, soon_due
from vault.custody.retention.sweep import approve, last_sweep
from vault.custody.search import life
from vault.rules.actions import Action
from vault.web.request import Visit
from vault.web.routing import Routes

routes = Routes()


@routes.page("/due", Action.ASK_WHY)
def list_due(visit: Visit) -> Response:
    """What falls due within a week, each with its reason; what waits for two persons; what was
    destroyed.
    """
    vault = visit.vault
    last = last_sweep(vault)
    return visit.page(
        "due.html",
        due=[
            (moment, life(vault, visit.by, recording))
            for moment, recording in soon_due(vault, visit.by)
        ],
        last=last,
        awaiting=[
            life(vault, visit.by, recording)
            for recording in (last.awaiting if last is not None else ())
        ],
        gone=destroyed(vault, visit.by, 50),
        unconfirmed=unconfirmed_since(vault),
        trust=look_at_clock(vault, visit.office.clock),
        now=vault.now_utc(),
    )


@routes.deed("/due/approve", Action.CONFIRM, again=list_due)
def approve_sweep(visit: Visit) -> Response:
    """Exactly the recordings on the list that both saw."""
    recordings = visit.many("recording")
    first, second = visit.prove_self(), visit.prove_second()
    approve(visit.vault, first.actor, second.actor, recordings)
    return visit.go("/due", "sweep")


@routes.deed("/due/clock", Action.CONFIRM, again=list_due)
def confirm_the_clock(visit: Visit) -> Response:
    first, second = visit.prove_self(), visit.prove_second()
    confirm_clock(visit.vault, visit.office.clock, first.actor, second.actor)
    return visit.go("/due", "clock")


@routes.deed("/due/confirm", Action.CONFIRM, again=list_due)
def confirm_the_list(visit: Visit) -> Response:
    first, second = visit.prove_self(), visit.prove_second()
    confirm(visit.vault, first.actor, second.actor)
    return visit.go("/due", "confirmed")
