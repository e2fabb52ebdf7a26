"""Due dates, what a sweep asks for, deletions, and the clock (P31, F1, F4)."""

from starlette.responses import Response

from vault.custody.retention.clock_confirmation import confirm_clock, look_at_clock
from vault.custody.retention.confirmation import confirm, unconfirmed_since
from vault.custody.retention.disposition import destroyed, soon_due
from vault.custody.retention.sweep import approve, last_sweep
from vault.custody.search import life
from vault.rules.actions import Action
from vault.web.request import PageRequest
from vault.web.routing import Routes

routes = Routes()


@routes.page("/due", Action.ASK_WHY)
def list_due(page: PageRequest) -> Response:
    """What falls due within a week, each with its reason; what waits for two persons; what was
    destroyed.
    """
    vault = page.vault
    last = last_sweep(vault)
    return page.render(
        "due.html",
        due=[
            (moment, life(vault, page.by, recording))
            for moment, recording in soon_due(vault, page.by)
        ],
        last=last,
        awaiting=[
            life(vault, page.by, recording)
            for recording in (last.awaiting if last is not None else ())
        ],
        gone=destroyed(vault, page.by, 50),
        unconfirmed=unconfirmed_since(vault),
        trust=look_at_clock(vault, page.application.clock),
        now=vault.now_utc(),
    )


@routes.deed("/due/approve", Action.CONFIRM, again=list_due)
def approve_sweep(page: PageRequest) -> Response:
    """Exactly the recordings on the list that both saw."""
    recordings = page.many("recording")
    first, second = page.prove_self(), page.prove_second()
    approve(page.vault, first.actor, second.actor, recordings)
    return page.go("/due", "sweep")


@routes.deed("/due/clock", Action.CONFIRM, again=list_due)
def confirm_the_clock(page: PageRequest) -> Response:
    first, second = page.prove_self(), page.prove_second()
    confirm_clock(page.vault, page.application.clock, first.actor, second.actor)
    return page.go("/due", "clock")


@routes.deed("/due/confirm", Action.CONFIRM, again=list_due)
def confirm_the_list(page: PageRequest) -> Response:
    first, second = page.prove_self(), page.prove_second()
    confirm(page.vault, first.actor, second.actor)
    return page.go("/due", "confirmed")
