from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hand_clock import HandClock
from tests.support.office import Office, office
from tests.support.vault_world import founded
from vault.config import VaultSettings
from vault.intake.intake import Intake
from vault.vault import Vault


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def settings(tmp_path: Path, clock: HandClock) -> VaultSettings:
    return founded(tmp_path, clock)


@pytest.fixture
def vault(settings: VaultSettings, clock: HandClock) -> Iterator[Vault]:
    with Vault.open(settings, clock) as opened:
        yield opened


@pytest.fixture
def intake(vault: Vault) -> Iterator[Intake]:
    with Intake(vault) as opened:
        opened.recover()
        yield opened


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Office]:
    """An office an hour after its ceremony."""
    with office(tmp_path / "office") as made:
        made.clock.pass_time(3600)
        yield made


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what the machine that tests has set for itself."""
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
