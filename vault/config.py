"""The vault's settings: one TOML file, read strictly."""

import os
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vault.errors import ConfigurationError

MIB = 1 << 20


class WebSettings(BaseModel):
    """The back office (`[web]`). `origin` is what stands in the browser's address line: security keys are bound to its host.

    `metrics_socket` None: no metrics. `dock_status` is the dock's status socket, whose word the health page shows.
    `packages` is where a hand-over's encrypted package waits to be fetched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    listen: Annotated[str, Field(pattern=r"^[0-9.]+:[0-9]+$")] = "127.0.0.1:8480"
    origin: Annotated[str, Field(pattern=r"^https?://[^/]+$")] = "http://localhost:8480"
    metrics_socket: Annotated[Path, Field(strict=False)] | None = None
    dock_status: Annotated[Path, Field(strict=False)] | None = None
    packages: Annotated[Path, Field(strict=False)] = Path("packages")
    idle_minutes: Annotated[int, Field(ge=1, le=60)] = 10
    municipality: Annotated[str, Field(min_length=1, max_length=100)] = "gemeente Heusden"


class VaultSettings(BaseModel):
    """Where the vault stands and what it may use. Relative paths are taken from the folder of the settings file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: Path
    """The vault's folder."""
    pins: Path
    """The file that names the keyring's two signers. It stands outside the vault, where who can write the vault can't reach."""
    log_key: Path | None = None
    """The key that signs heads of the log: a credential outside the vault. Not named: `log.key` beside the pins."""
    witness: list[str] = []
    """The command that takes a signed head out of the administrator's reach, with its arguments; empty: there is no witness."""
    reserve_mb: Annotated[int, Field(ge=1)] = 512
    """Free space in MiB that intake leaves for the log and for viewing."""
    lanes: Annotated[int, Field(ge=1, le=16)] = 4
    web: WebSettings = WebSettings()
    """The back office."""
    """How many files are sealed at the same time; each takes 4 MiB of memory."""

    @property
    def log_key_path(self) -> Path:
        """The credential that systemd hands to the service, where it does (`LoadCredential=log.key:…`); else the file as set."""
        handed = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nowhere"), "log.key")
        return handed if handed.exists() else self.log_key or self.pins.with_name("log.key")

    @property
    def reserve_bytes(self) -> int:
        return self.reserve_mb * MIB


def load_vault_settings(path: Path) -> VaultSettings:
    """Read the settings file. Raises ConfigurationError that names file and key."""
    try:
        with path.open("rb") as file:
            raw = tomllib.load(file)
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no settings file {path}.", hint="Name one with --config, or run `vault init --config FILE --root FOLDER`."
        ) from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}.") from error
    try:
        settings = VaultSettings.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{path}: {key}: {first['msg']}.") from None
    here = path.resolve().parent
    placed: dict[str, object] = {"root": here / settings.root, "pins": here / settings.pins}
    web = {"packages": here / settings.web.packages}
    for name in ("metrics_socket", "dock_status"):
        path = getattr(settings.web, name)
        if path is not None:
            web[name] = here / path
    placed["web"] = settings.web.model_copy(update=web)
    if settings.log_key is not None:
        placed["log_key"] = here / settings.log_key
    return settings.model_copy(update=placed)
