"""A dock to measure: a vault of its own, its settings, and the camera registered. All by the public
commands.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.bench.process import CommandFailed, measured

DOCKD = (sys.executable, "-m", "dockd")
VAULT = (sys.executable, "-m", "vault")


@dataclass(frozen=True, slots=True)
class Ground:
    """The folder of one dock. What stands in it counts from it, so that a copy of the folder is a
    dock of its own.
    """

    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "dockd.toml"

    @property
    def vault(self) -> Path:
        return self.folder / "vault"

    def copied(self, folder: Path) -> "Ground":
        """This dock again, in another folder. Taken before the first recording it is
        an empty one.
        """
        shutil.copytree(self.folder, folder)
        copy = Ground(folder)
        copy.write_settings()
        return copy

    def write_settings(self, **more: object) -> None:
        """dockd's settings and the vault's. Nothing is erased unless asked for: the next contender
        needs the same card.
        """
        (self.folder / "vault.toml").write_text('root = "vault"\npins = "pins.json"\n')
        settings = {
            "vault": str(self.folder / "vault.toml"),
            "status_socket": str(self.folder / "status.sock"),
            "erase": False,
            **more,
        }
        self.settings.write_text(
            "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        )

    def verdicts(self) -> list[str]:
        """The wholeness of every recording in the vault, as its record says it."""
        records = sorted(self.vault.glob("footage/*/*/*/record.json"))
        return [json.loads(record.read_bytes())["timeline"]["wholeness"] for record in records]

    def taken_bytes(self) -> int:
        """Plaintext of all segments in the vault."""
        records = self.vault.glob("footage/*/*/*/record.json")
        files = [file for record in records for file in json.loads(record.read_bytes())["files"]]
        return sum(file["size_bytes"] for file in files if file["name"] != "manifest")


def made_ground(folder: Path, camera: tuple[str, ...]) -> Ground:
    """A dock with an empty vault; `camera` is what `vault camera add` is told. Raises
    CommandFailed.
    """
    folder.mkdir()
    ground = Ground(folder)
    ground.write_settings()
    told = folder.with_suffix(".log")
    config = ("--config", str(folder / "vault.toml"))
    measured((*VAULT, "init", "--demo", *config), {}, told)
    passphrase = json.loads((folder / "demo-passphrases.json").read_text())["BC"]
    added = subprocess.run(
        (*VAULT, "camera", "add", *config, *camera),
        input=f"{passphrase}\n".encode(),
        capture_output=True,
        check=False,
    )
    if added.returncode:
        raise CommandFailed(f"The camera was not added: {added.stderr.decode(errors='replace')}")
    return ground


def demand_taken(ground: Ground, size_bytes: int, verdict: str) -> None:
    """Raises CommandFailed unless the vault holds exactly so much, all of it with this verdict."""
    verdicts, taken_bytes = ground.verdicts(), ground.taken_bytes()
    if taken_bytes != size_bytes or set(verdicts) != {verdict}:
        raise CommandFailed(
            f"The vault holds {taken_bytes} of {size_bytes} bytes, judged {sorted(set(verdicts))}."
        )
