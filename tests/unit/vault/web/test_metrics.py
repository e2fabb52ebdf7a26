"""`/metrics` and `/health` on their own socket: figures with help texts, nobody's name, no id."""

import json
import re

from starlette.testclient import TestClient

from tests.support.back_office import BackOffice
from tests.support.places import CONFIG
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


def test_every_alert_asks_for_figures_that_there_are_and_says_what_to_do(back: BackOffice) -> None:
    """And in a vault where all is new, none but what was never done is said."""
    text = TestClient(build_metrics(back.web)).get("/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    rules = (CONFIG / "alerts.yml").read_text()
    alerts = rules.split("- alert: ")[1:]
    assert len(alerts) >= 10
    for alert in alerts:
        name = alert.splitlines()[0]
        assert set(re.findall(r"dock_vault_\w+", alert)) <= set(values), name
        assert "dock_vault_" in re.findall(r"expr: (.*)", alert)[0], name
        assert re.search(r"severity: (warning|critical)", alert), name
        assert re.search(r"summary: .{20}", alert), name
        assert re.search(r"action: .{20}", alert), name


def test_the_dashboard_shows_every_figure(back: BackOffice) -> None:
    text = TestClient(build_metrics(back.web)).get("/metrics").text
    dashboard = json.loads((CONFIG / "dashboard.json").read_text())
    shown = {target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())}
    assert shown | {"dock_vault_witness_named"} == {
        line.split()[0] for line in text.splitlines() if not line.startswith("#")
    }
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_a_vault_that_no_longer_opens_says_so_and_nothing_else(back: BackOffice) -> None:
    client = TestClient(build_metrics(back.web))
    assert "\ndock_vault_opens 1.0\n" in client.get("/metrics").text
    (back.office.settings.root / "keyring.json").unlink()
    lines = client.get("/metrics").text.splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["dock_vault_opens 0.0"]
    assert client.get("/health").status_code == 503


def test_ages_count_from_what_was_done(back: BackOffice) -> None:
    def value(name: str) -> float:
        text = TestClient(build_metrics(back.web)).get("/metrics").text
        return float(re.findall(rf"^dock_vault_{name} (\S+)$", text, re.MULTILINE)[0])

    assert value("dock_answers") == 0
    assert value("bays_faulty") == 0
    assert value("drill_age_hours") == -1
    assert value("cameras_overdue") == 0


def test_health_says_whether_there_is_room_and_a_confirmed_list(back: BackOffice) -> None:
    back.office.hours(1)
    answer = TestClient(build_metrics(back.web)).get("/health")
    assert answer.json() == {
        "ok": True,
        "free_bytes": answer.json()["free_bytes"],
        "clock_trusted": True,
    }


def test_the_back_office_itself_serves_neither(back: BackOffice) -> None:
    for path in ("/metrics", "/health"):
        assert back.screen("Carel").get(path).status_code == 404
