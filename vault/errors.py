"""The error tree: a stable code, one sentence, what to do about it.

Sorted by what the reader should do. `Reaction` is translated once, at the edge: to an exit code by
`__main__`, to a lamp by the dock, to a status by the back office. The sentence reads the same in
all three places.
"""

from enum import Enum


class Reaction(Enum):
    """What the reader of an error should do; the value is the process's exit code (sysexits.h where
    one fits).
    """

    TRY_AGAIN = 75
    """Nothing is wrong with what was asked; the same call may succeed later (EX_TEMPFAIL)."""
    REFUSE = 65
    """What was given can't be accepted; it must change before it is given again (EX_DATAERR)."""
    ALARM = 70
    """A promise of the system is in doubt; a person has to look (EX_SOFTWARE)."""


class Failure(Exception):
    """Base of every error that a person may meet.

    A subclass fixes `code` (stable, dotted, for journals and tests), `reaction` and `hint`. The
    sentence is given where the error is raised, as that place knows the names.
    """

    code = "failure"
    reaction = Reaction.ALARM
    hint = "Look in the journal for what led to this."

    def __init__(self, sentence: str, *, hint: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        if hint is not None:
            self.hint = hint

    def __str__(self) -> str:
        return f"{self.sentence} {self.hint} [{self.code}]"


class ConfigurationError(Failure):
    """A setting is unknown, missing or of the wrong kind."""

    code = "config.invalid"
    reaction = Reaction.REFUSE
    hint = "Correct the named key in the named file."


class VaultError(Failure):
    """Base of what the vault itself raises."""

    code = "vault.failure"


class NotAVault(VaultError):
    """The folder holds no vault, or one of another format."""

    code = "vault.not_a_vault"
    reaction = Reaction.REFUSE
    hint = "Name the folder that `vault init` made, or make one."


class VaultExists(VaultError):
    """`init` was asked for a folder that is not empty."""

    code = "vault.exists"
    reaction = Reaction.REFUSE
    hint = "Name a new or empty folder; an existing vault is never overwritten."


class VaultBusy(VaultError):
    """Another process takes recordings into this vault."""

    code = "vault.busy"
    reaction = Reaction.TRY_AGAIN
    hint = "Stop the other process (`systemctl stop dockd`), or wait until it is done."


class VaultFull(VaultError):
    """Too little free space to take in the recording and keep the reserve for the log."""

    code = "vault.full"
    reaction = Reaction.TRY_AGAIN
    hint = (
        "Make room on the vault's disk. The camera keeps its recordings; nothing is deleted to "
        "make room."
    )


class StorageFailed(VaultError):
    """The medium refused a write, a flush or a read. What was being written is abandoned, key and
    all.
    """

    code = "vault.storage_failed"
    reaction = Reaction.ALARM
    hint = "Check the vault's disk. The camera keeps its recordings."


class VaultReadOnly(VaultError):
    """After repeated storage failures nothing more is taken in until a person has looked."""

    code = "vault.read_only"
    reaction = Reaction.ALARM
    hint = "Check the vault's disk, then restart dockd. The cameras keep their recordings."


class CatalogueFailed(VaultError):
    """The catalogue can't be opened, has another schema, or refused a transaction."""

    code = "vault.catalogue_failed"
    reaction = Reaction.ALARM
    hint = (
        "Run `vault verify`; if the catalogue is lost, `vault rebuild` makes it anew from the "
        "folders."
    )


class KeyringRefused(VaultError):
    """The keyring's signatures, version or vault are not the pinned ones. Nothing is taken in under
    it.
    """

    code = "vault.keyring_refused"
    reaction = Reaction.ALARM
    hint = (
        "Compare the keyring's fingerprints with the paper of the key ceremony. The cameras keep "
        "their recordings."
    )


class WrongPassphrase(VaultError):
    """A passphrase does not open the private half it was given for."""

    code = "vault.wrong_passphrase"
    reaction = Reaction.REFUSE
    hint = "Type the passphrase again."


class UnknownPerson(VaultError):
    """The keyring knows nobody, or more than one, of this name."""

    code = "vault.unknown_person"
    reaction = Reaction.REFUSE
    hint = (
        "`vault person list` shows the persons; name one by id, name, officer's code, or function."
    )


class PairRefused(VaultError):
    """The two named functions may not open a recording together."""

    code = "vault.pair_refused"
    reaction = Reaction.REFUSE
    hint = "Name two functions that the protocol lets view together."


class NotAllowed(VaultError):
    """The protocol does not let this person do this. The sentence quotes the protocol's."""

    code = "policy.not_allowed"
    reaction = Reaction.REFUSE
    hint = (
        "Ask a person whose function it is; a replacement counts once it is on record (`vault "
        "person replace`)."
    )


class CannotOpen(VaultError):
    """A sealed file or a wrapped key does not open: other key, other place, altered or truncated
    bytes.
    """

    code = "vault.cannot_open"
    reaction = Reaction.ALARM
    hint = "Run `vault verify`, and fetch the sealed file from a backup if it differs."


class UnknownRecording(VaultError):
    """No recording has this id."""

    code = "vault.unknown_recording"
    reaction = Reaction.REFUSE
    hint = "`vault list` shows the recordings and their ids."


class UnknownCamera(VaultError):
    """The camera is not registered; nothing of it is read."""

    code = "vault.unknown_camera"
    reaction = Reaction.REFUSE
    hint = (
        "The boa-coördinator can register it: `vault camera add`. The camera keeps its recordings."
    )


class CameraExists(VaultError):
    """A camera of this serial is registered already."""

    code = "vault.camera_exists"
    reaction = Reaction.REFUSE
    hint = (
        "Remove the registered camera first (`vault camera remove`), then add it with its new key."
    )


class ContentDiffers(VaultError):
    """What came over is not what the camera announced, in size or digest. It is thrown away; the
    camera keeps its copy.
    """

    code = "vault.content_differs"
    reaction = Reaction.ALARM
    hint = (
        "Dock the camera again. If it happens again the recording on the camera is damaged: keep "
        "the camera apart."
    )


class ReadBackDiffers(VaultError):
    """What stands on the vault's medium is not what came over. It is thrown away; the camera keeps
    its copy.
    """

    code = "vault.read_back_differs"
    reaction = Reaction.ALARM
    hint = (
        "The vault's disk or the memory of this machine is failing: test both. The camera keeps "
        "its recordings."
    )


class EraseRefused(VaultError):
    """The vault does not allow this recording to be erased on the camera now."""

    code = "vault.erase_refused"
    reaction = Reaction.TRY_AGAIN
    hint = "The recording stays on the camera and in the vault."
