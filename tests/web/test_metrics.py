"""`/metrics` and `/health` on their own socket: figures with help texts, nobody's name, no id."""

from starlette.testclient import TestClient

from tests.web.backoffice import BackOffice
from vault.web.metrics import build_metrics


def test_metrics_tell_figures_and_nothing_else(back: BackOffice) -> None:
    recording = back.film()
    back.open(back.viewing(recording))
    text = TestClient(build_metrics(back.web)).get("/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values["dock_vault_recordings"]) == 1
    assert float(values["dock_vault_viewings_open"]) == 1
    assert float(values["dock_vault_reports_missing"]) == 1
    assert float(values["dock_vault_sweep_age_hours"]) == -1
    helped = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP")}
    assert helped == set(values)
    assert not any(word in text for word in ("Carel", "Mo", recording, "BWC0042"))


def test_health_says_whether_there_is_room_and_a_confirmed_list(back: BackOffice) -> None:
    back.office.hours(1)
    answer = TestClient(build_metrics(back.web)).get("/health")
    assert answer.json() == {"ok": True, "free_bytes": answer.json()["free_bytes"], "clock_trusted": True}


def test_the_back_office_itself_serves_neither(back: BackOffice) -> None:
    for path in ("/metrics", "/health"):
        assert back.screen("Carel").get(path).status_code == 404
