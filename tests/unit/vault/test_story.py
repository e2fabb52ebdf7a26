"""The protocol told as a story, in its own order, and told once more by the log at the end."""

from datetime import timedelta
from pathlib import Path

import pyrage
import pytest

from tests.support.office import office
from vault.custody import cases, reports
from vault.custody.cases import NewCase
from vault.custody.handover import handover
from vault.custody.handover.handover import Order, hand_over
from vault.custody.reports import Location, UseReport
from vault.custody.retention import disposition
from vault.custody.viewing import viewing_requests
from vault.custody.viewing.viewing_session import Span, open_viewing
from vault.errors import NotAllowed
from vault.rules.case_kinds import CaseKind
from vault.rules.purposes import Purpose

CONFIRMED = ("location", "nobody_else", "no_copy")


def test_from_a_shift_with_two_uses_to_deletion_on_the_right_day(tmp_path: Path) -> None:
    """Proves P21, P22, P31, P32, P33, P34, P35, P39, P40, P43, P44, P45, P46, P57, P58, P60, P61.

    A shift with two uses, the dock, a report; a complaint on day 20, viewed by the pair; an access
    request, refused, objected to; a demand of the prosecutor, a hand-over, its receipt, the
    release; each recording deleted on its own day.
    """
    with office(tmp_path) as here:
        here.clock.pass_time(3600)
        quarrel = here.record(contents=(b"quarrel 0" * 900, b"quarrel 1" * 800))
        theft = here.record(contents=(b"theft" * 700,))
        assert {
            missing.recording.id for missing in reports.missing_reports(here.vault, here.id("Mo"))
        } == {quarrel, theft}
        for recording in (quarrel, theft):
            use = UseReport(
                (recording,),
                here.clock.now() - timedelta(hours=1),
                Location.PUBLIC_SPACE,
                "threatened at the market",
                "pushed, nobody hurt",
                announced=True,
                announcement="said aloud that the camera goes on",
                informed=True,
                information="leaflet given",
            )
            reports.receive(
                here.vault,
                here.actor("Bea"),
                reports.file_report(here.vault, here.actor("Mo"), use),
            )
        assert reports.missing_reports(here.vault) == []

        here.days(20)
        complaint = cases.register(
            here.vault,
            here.actor("Carel"),
            NewCase(CaseKind.COMPLAINT, "K-2026-7", here.clock.now(), (quarrel,), text="rude"),
        )
        wanted = viewing_requests.request(
            here.vault,
            here.actor("Carel"),
            Purpose.COMPLAINT,
            [quarrel],
            case=complaint,
            reason="to answer the complaint",
        )
        with pytest.raises(NotAllowed, match="clustermanager en de"):
            open_viewing(here.vault, wanted, here.signed("Petra"), here.signed("Geert"), CONFIRMED)
        with open_viewing(
            here.vault, wanted, here.signed("Carel"), here.signed("Geert"), CONFIRMED
        ) as session:
            manifest = session.manifest(quarrel)
            assert manifest is not None
            assert manifest.holds is True
            shown = session.show(Span(quarrel, "0000.sealed", 0, 1 << 20))
        assert shown == b"quarrel 0" * 900

        asked = cases.register(
            here.vault,
            here.actor("Petra"),
            NewCase(
                CaseKind.ACCESS_REQUEST, "I-2026-3", here.clock.now(), (theft,), text="J. Jansen"
            ),
        )
        cases.decide(
            here.vault,
            here.actor("Petra"),
            asked,
            granted=False,
            necessity="not shown",
            reasons="others are on it, unmasked",
        )
        cases.carry_out(here.vault, here.actor("Petra"), asked)

        here.hours(24 * 10)
        assert here.stands(quarrel)
        assert here.stands(theft)
        cases.close(here.vault, here.actor("Carel"), complaint, reference="letter of 2026-12-23")
        here.hours(26)
        assert not here.stands(quarrel)
        assert here.stands(theft)

        cases.register_objection(
            here.vault, here.actor("Petra"), asked, here.clock.now(), "I am on it"
        )
        here.hours(24 * 40)
        with pytest.raises(cases.CaseRefused, match="objection is pending"):
            cases.close(here.vault, here.actor("Petra"), asked)
        demanded = cases.register(
            here.vault,
            here.actor("Petra"),
            NewCase(CaseKind.DEMAND, "OM-2027-5", here.clock.now(), (theft,), text="theft"),
        )
        cases.decide_objection(
            here.vault, here.actor("Carel"), asked, upheld=False, reference="B-2027-1"
        )
        cases.close(here.vault, here.actor("Petra"), asked)
        here.hours(30)
        assert here.stands(theft)

        looked = viewing_requests.request(
            here.vault,
            here.actor("Petra"),
            Purpose.DEMAND,
            [theft],
            case=demanded,
            reason="for the OM",
        )
        key = str(pyrage.x25519.Identity.generate().to_public())
        with open_viewing(
            here.vault, looked, here.signed("Petra"), here.signed("Carel"), CONFIRMED
        ) as session:
            made = hand_over(
                here.vault,
                session,
                Order("Openbaar Ministerie", key, "gemeente Heusden", tmp_path / "out"),
            )
        here.clock.pass_time(3600)
        handover.receive(
            here.vault, here.actor("Petra"), made.id, "mr. A. de Wit", here.clock.now()
        )
        cases.close(
            here.vault, here.actor("Petra"), demanded, reference="the OM agrees to destruction"
        )
        here.hours(23)
        assert here.stands(theft)
        here.hours(3)
        assert not here.stands(theft)
        nl = disposition.disposition(here.vault, here.actor("Petra"), theft).nl
        assert nl.startswith("Deze opname is vernietigd op ")

        story = [
            entry["action"]
            for entry in here.entries()
            if entry["action"].split(".")[0] not in ("vault", "camera", "clock")
        ]
        assert [
            action for action in story if not action.startswith(("retention", "viewing.shown"))
        ] == [
            "recording.stored",
            "recording.stored",
            "report.filed",
            "report.received",
            "report.filed",
            "report.received",
            "case.registered",
            "viewing.requested",
            "viewing.denied",
            "viewing.opened",
            "recording.opened",
            "viewing.ended",
            "case.registered",
            "case.decided",
            "case.carried_out",
            "case.closed",
            "recording.destroyed",
            "paper.removed",
            "destruction.confirmed",
            "case.objected",
            "case.registered",
            "case.objection_decided",
            "case.closed",
            "viewing.requested",
            "viewing.opened",
            "recording.opened",
            "handover.begun",
            "handover.made",
            "viewing.ended",
            "handover.received",
            "case.closed",
            "recording.destroyed",
            "paper.removed",
            "destruction.confirmed",
        ]
