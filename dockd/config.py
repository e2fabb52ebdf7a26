"""dockd's settings: one TOML file, read once and strictly.

What is not understood is refused with the file's and the key's name, as a setting that is silently
passed over is a promise that nobody keeps: a mistyped `erase = false` would erase cameras.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr, ValidationError

from dockd.usb.bus import USBIP
from vault.errors import ConfigurationError


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be an absolute path")
    return path


def _joins_chapters(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    if not {"recording", "chapter"} <= set(groups):
        raise ValueError("needs the groups `recording` and `chapter`")
    return pattern


def _names_a_backend(setting: str) -> str:
    if setting in ("libusb", "off") or USBIP.fullmatch(setting):
        return setting
    raise ValueError("must be `libusb`, `off`, or `usbip:HOST:PORT`")


# TOML knows neither paths nor tuples: these two are converted, everything else must have the exact
# type.
AbsolutePath = Annotated[Path, Field(strict=False), AfterValidator(_absolute)]
Words = Annotated[tuple[StrictStr, ...], Field(strict=False, min_length=1)]


class DockSettings(BaseModel):
    """What a municipality may set. `config/dockd.toml` explains each key and names its default."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    vault: AbsolutePath
    watched_folder: AbsolutePath | None = None
    filesystems: Words = ("vfat", "exfat")
    mount_roots: Annotated[tuple[AbsolutePath, ...], Field(strict=False)] = (
        Path("/media"),
        Path("/run/media"),
        Path("/mnt"),
    )
    usb_backend: Annotated[StrictStr, AfterValidator(_names_a_backend)] = "libusb"
    rescan_seconds: int = Field(default=30, ge=1, le=3600)
    reader_socket: AbsolutePath | None = None
    erase_socket: AbsolutePath | None = None
    erase_root: AbsolutePath = Path("/run/dock-vault/erase")
    status_socket: AbsolutePath = Path("/run/dockd/status.sock")
    page: Annotated[StrictStr, Field(pattern=r"^127\.0\.0\.1:[0-9]{1,5}$")] = "127.0.0.1:8470"
    back_office: StrictStr = "http://localhost:8480"
    erase: bool = True
    dcim_chapters: Annotated[str, AfterValidator(_joins_chapters)] | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def chapters(self) -> re.Pattern[str] | None:
        """Return the pattern that joins a DCIM camera's chapters to one recording, or None: each
        file is a recording.
        """
        return None if self.dcim_chapters is None else re.compile(self.dcim_chapters)


def load_dock_settings(path: Path) -> DockSettings:
    """Return the settings in `path`. Raises ConfigurationError that names the file and, where there
    is one, the key.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}.") from error
    try:
        return DockSettings.model_validate(document)
    except ValidationError as error:
        raise ConfigurationError(_sentence(path, error)) from error


def _sentence(path: Path, error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "extra_forbidden":
            return f"{path}: the key `{key}` is unknown."
        case "missing":
            return f"{path}: the key `{key}` is missing."
    return f"{path}: the key `{key}`: {first['msg'].removeprefix('Value error, ')}."
