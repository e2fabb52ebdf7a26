"""The vault's settings: one TOML file, read strictly."""

import os
import tomllib
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from vault.errors import ConfigurationError

MIB = 1 << 20
_SQLITE = "sqlite:///"
CATALOGUE_SCHEMES = ("sqlite",)
"""The engines that a catalogue may stand on."""


def default_catalogue(root: Path) -> Path:
    """Where a vault's catalogue is unless the settings name another place: in a folder of its own,
    in which each of the services that share a vault may remove what SQLite made for another. In the
    vault's other folders none may.
    """
    return root / "catalogue" / "catalogue.db"


def sqlite_url(path: Path) -> str:
    """The URL of a catalogue in a SQLite file."""
    return f"{_SQLITE}{path}"


def sqlite_path(url: str) -> Path:
    """The file of a catalogue's URL."""
    return Path(url.removeprefix(_SQLITE))


def _catalogue_url(url: str) -> str:
    scheme, colon, _ = url.partition(":")
    example = f"{_SQLITE}/srv/catalogue/catalogue.db"
    if not colon or scheme not in CATALOGUE_SCHEMES:
        raise ValueError(
            f"{url!r} names no engine that this program knows; a SQLite file is named as in "
            f"{example!r}"
        )
    path = url.removeprefix(_SQLITE)
    if path == url or not path.startswith("/") or path.endswith("/") or set(path) & set("?#%"):
        raise ValueError(
            f"{url!r} does not name a SQLite file by its absolute path, without options; write it "
            f"as in {example!r}"
        )
    return url


class WebSettings(BaseModel):
    """The back office (`[web]`). `origin` is what stands in the browser's address line: security
    keys are bound to its host.

    `metrics_socket` None: no metrics. `dock_status` is the dock's status socket, whose word the
    health page shows. `packages` is where a hand-over's encrypted package waits to be fetched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    listen: Annotated[str, Field(pattern=r"^[0-9.]+:[0-9]+$")] = "127.0.0.1:8480"
    origin: Annotated[str, Field(pattern=r"^https?://[^/]+$")] = "http://localhost:8480"
    metrics_socket: Annotated[Path, Field(strict=False)] | None = None
    dock_status: Annotated[Path, Field(strict=False)] | None = None
    packages: Annotated[Path, Field(strict=False)] = Path("packages")
    idle_minutes: Annotated[int, Field(ge=1, le=60)] = 10
    municipality: Annotated[str, Field(min_length=1, max_length=100)] = "gemeente Heusden"


def _with_a_port(address: str) -> str:
    """Of a server or a web address; urlsplit raises ValueError for a port that can't be."""
    parts = urlsplit(address if "//" in address else f"//{address}")
    if parts.port == 0:
        raise ValueError("there is no port 0")
    return address


_MailAddress = Annotated[str, Field(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$")]
_MailServer = Annotated[
    str,
    Field(pattern=r"^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}$"),
    AfterValidator(_with_a_port),
]
_HERE = r"http://(localhost|127\.0\.0\.1|\[::1\])"
_WebAddress = Annotated[
    str,
    Field(
        pattern=rf"^(https://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])|{_HERE})(:[0-9]{{1,5}})?(/[!-~]*)?$"
    ),
    AfterValidator(_with_a_port),
]


class AlertSettings(BaseModel):
    """Who is alerted by `vault alert`, and how (`[alerts]`). `mail_to` empty and `webhook`
    None: nobody.

    `state` is where it remembers what was sent. A webhook over plain HTTP is on this machine.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    mail_to: list[_MailAddress] = []
    mail_from: _MailAddress | None = None
    smtp: _MailServer = "localhost:25"
    webhook: _WebAddress | None = None
    state: Annotated[Path, Field(strict=False)] = Path("alerts.json")

    @model_validator(mode="after")
    def _mail_has_a_sender(self) -> "AlertSettings":
        if self.mail_to and self.mail_from is None:
            raise ValueError("`mail_to` is given, and `mail_from` is not")
        return self


class VaultSettings(BaseModel):
    """Where the vault stands and what it may use. Relative paths are taken from the folder of the
    settings file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: Path
    """The vault's folder."""
    pins: Path
    """The file that names the keyring's two signers. It stands outside the vault, where who can
    write the vault can't reach.
    """
    catalogue: Annotated[str, AfterValidator(_catalogue_url)] | None = None
    """The catalogue's URL, with an absolute path. Not named: `catalogue/catalogue.db` in the vault,
    a SQLite file.
    """
    log_key: Path | None = None
    """The key that signs heads of the log: a credential outside the vault. Not named: `log.key`
    beside the pins.
    """
    witness: list[str] = []
    """The command that takes a signed head out of the administrator's reach, with its arguments;
    empty: there is no witness.
    """
    reserve_mb: Annotated[int, Field(ge=1)] = 512
    """Free space in MiB that intake leaves for the log and for viewing."""
    lanes: Annotated[int, Field(ge=1, le=16)] = 4
    """How many files are sealed at the same time; each takes 4 MiB of memory."""
    web: WebSettings = WebSettings()
    """The back office."""
    alerts: AlertSettings = AlertSettings()
    """Who is alerted."""

    @property
    def catalogue_url(self) -> str:
        """The catalogue's URL as set, or the default's."""
        return self.catalogue or sqlite_url(default_catalogue(self.root))

    @property
    def log_key_path(self) -> Path:
        """The credential that systemd hands to the service, where it does
        (`LoadCredential=log.key:…`); else the file as set.
        """
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
            f"There is no settings file {path}.",
            hint="Name one with --config, or run `vault init --config FILE --root FOLDER`.",
        ) from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}.") from error
    try:
        settings = VaultSettings.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"{path}: {key}: {first['msg'].removeprefix('Value error, ')}."
        ) from None
    here = path.resolve().parent
    placed: dict[str, object] = {"root": here / settings.root, "pins": here / settings.pins}
    web = {"packages": here / settings.web.packages}
    for name in ("metrics_socket", "dock_status"):
        path = getattr(settings.web, name)
        if path is not None:
            web[name] = here / path
    placed["web"] = settings.web.model_copy(update=web)
    placed["alerts"] = settings.alerts.model_copy(update={"state": here / settings.alerts.state})
    if settings.log_key is not None:
        placed["log_key"] = here / settings.log_key
    return settings.model_copy(update=placed)
