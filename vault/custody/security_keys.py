"""Security keys (WebAuthn level 3): a person's keys under what their device answers, beside the
passphrase.

The device signs a fresh challenge, bound to the host in the browser's address line, after its PIN
or finger; and its PRF extension answers 32 bytes that nobody else can compute, which open the
person's lock. A signature alone opens nothing; the answer alone is refused. fido2 checks the
protocol.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    UserVerificationRequirement,
)

from vault.crypto.canonical_json import from_base64, to_base64
from vault.crypto.passphrase import DEVICE_ANSWER_BYTES
from vault.custody.keyholders import write_keyring
from vault.custody.people import Signed, sign_in_by_device
from vault.errors import Reaction, VaultError, WrongPassphrase
from vault.keyring.changes import device_lock, with_security_keys
from vault.keyring.form import SecurityKeyForm
from vault.log.log import Entry
from vault.storage.locks import KeyringLock
from vault.storage.small_files import read_small
from vault.vault import KEYRING_LIMIT_BYTES, Vault

MOST = 5
"""How many security keys a person may have."""


class SecurityKeyRefused(VaultError):
    """A security key can't be registered or used so."""

    code = "people.security_key_refused"
    reaction = Reaction.REFUSE
    hint = "Try again with the key in the machine, or use the passphrase."


@dataclass(frozen=True, slots=True)
class Asked:
    """A challenge: what the browser is given (JSON), and what the server keeps until the answer."""

    options: dict[str, Any]
    state: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What the browser brought back: the credential as JSON, and the PRF's answer (32 bytes)."""

    credential: dict[str, Any]
    secret: bytes


def read_answer(text: str) -> Answer:
    """The browser's answer from a form's field: `{"credential": …, "secret": base64}`. Raises
    SecurityKeyRefused.
    """
    try:
        found = json.loads(text)
        secret = from_base64(found["secret"])
        credential = found["credential"]
    except (ValueError, TypeError, KeyError) as error:
        raise SecurityKeyRefused("What the browser sent is no answer of a security key.") from error
    if not isinstance(credential, dict) or len(secret) != DEVICE_ANSWER_BYTES:
        raise SecurityKeyRefused(
            "The security key gave no secret.",
            hint="Use one that knows the PRF extension (hmac-secret), or the passphrase.",
        )
    return Answer(credential, secret)


def ask_new(vault: Vault, who: Signed, origin: str) -> Asked:
    """Ask a browser to make a credential for a person. Raises SecurityKeyRefused where there are
    too many already.
    """
    standing = vault.keyring.security_keys.get(who.actor.person, [])
    if len(standing) >= MOST:
        raise SecurityKeyRefused(
            f"There are {MOST} security keys already.", hint="Remove one first."
        )
    user = PublicKeyCredentialUserEntity(
        id=who.actor.person.encode()[:64], name=who.actor.name, display_name=who.actor.name
    )
    options, state = _server(vault, origin).register_begin(
        user,
        [AttestedCredentialData(from_base64(form.public)) for form in standing],
        user_verification=UserVerificationRequirement.REQUIRED,
        extensions=_prf(vault),
    )
    return Asked(dict(options.public_key), state)


def add(vault: Vault, who: Signed, origin: str, state: Any, answer: Answer, label: str) -> None:
    """Put the person's keys under a new security key as well. Raises SecurityKeyRefused,
    StorageFailed.
    """
    try:
        response = RegistrationResponse.from_dict(answer.credential)
        data = _server(vault, origin).register_complete(state, response).credential_data
    except (ValueError, TypeError, KeyError, InvalidSignature) as error:
        raise SecurityKeyRefused(f"The security key's answer does not hold: {error}.") from error
    if data is None:
        raise SecurityKeyRefused("The security key made no credential.")
    salt, nonce, sealed = device_lock(vault.id, who.identity, answer.secret)
    form = SecurityKeyForm(
        label=label.strip()[:60] or "security key",
        host=_host(origin),
        added_utc=vault.now_utc(),
        credential=to_base64(data.credential_id),
        public=to_base64(bytes(data)),
        salt=to_base64(salt),
        nonce=to_base64(nonce),
        sealed=to_base64(sealed),
    )
    _replace(vault, who.actor.person, lambda standing: [*standing, form])
    _tell(vault, who, "person.security_key_added", form.label)


def remove(vault: Vault, who: Signed, credential: str) -> None:
    """Take one of a person's security keys out of the keyring. Raises SecurityKeyRefused."""
    standing = vault.keyring.security_keys.get(who.actor.person, [])
    gone = [form for form in standing if form.credential == credential]
    if not gone:
        raise SecurityKeyRefused("There is no such security key.")
    _replace(
        vault,
        who.actor.person,
        lambda known: [form for form in known if form.credential != credential],
    )
    _tell(vault, who, "person.security_key_removed", gone[0].label)


def ask(vault: Vault, person: str, origin: str) -> Asked:
    """Challenge a person's security keys. For a person without any the challenge looks the same,
    and nothing can answer it.
    """
    standing = _standing(vault, person, origin)
    nobody = hashlib.sha256(f"{vault.id}/{person}".encode()).digest()
    ids = [from_base64(form.credential) for form in standing] or [nobody]
    known = [
        PublicKeyCredentialDescriptor(type=PublicKeyCredentialType.PUBLIC_KEY, id=one)
        for one in ids
    ]
    options, state = _server(vault, origin).authenticate_begin(
        known,
        user_verification=UserVerificationRequirement.REQUIRED,
        extensions=_prf(vault),
    )
    return Asked(dict(options.public_key), state)


def sign_in_with_key(vault: Vault, person: str, origin: str, state: Any, answer: Answer) -> Signed:
    """A person proven by their security key. Raises WrongPassphrase, SecurityKeyRefused, and as
    `people.sign_in`.
    """
    standing = _standing(vault, person, origin)
    try:
        response = AuthenticationResponse.from_dict(answer.credential)
        known = [AttestedCredentialData(from_base64(form.public)) for form in standing]
        used = _server(vault, origin).authenticate_complete(state, known, response)
    except (ValueError, TypeError, KeyError, InvalidSignature) as error:
        vault.record(
            Entry(
                "person.refused",
                person,
                None,
                {"sentence": "The security key's answer does not hold."},
            )
        )
        raise WrongPassphrase("The security key's answer does not hold.") from error
    return sign_in_by_device(vault, person, used.credential_id, answer.secret)


def _standing(vault: Vault, person: str, origin: str) -> Sequence[SecurityKeyForm]:
    return [
        form for form in vault.keyring.security_keys.get(person, ()) if form.host == _host(origin)
    ]


def _server(vault: Vault, origin: str) -> Fido2Server:
    entity = PublicKeyCredentialRpEntity(id=_host(origin), name=f"dock-vault {vault.id[:8]}")
    return Fido2Server(entity, verify_origin=lambda found: found == origin)


def _prf(vault: Vault) -> dict[str, Any]:
    """The same input for every key of a vault: each key's PRF answers differently."""
    salt = hashlib.sha256(f"dock-vault/prf/v1/{vault.id}".encode()).digest()
    return {"prf": {"eval": {"first": websafe_encode(salt)}}}


def _host(origin: str) -> str:
    return urlsplit(origin).hostname or ""


def _replace(
    vault: Vault,
    person: str,
    change: Callable[[Sequence[SecurityKeyForm]], Sequence[SecurityKeyForm]],
) -> None:
    with KeyringLock(vault.settings.root):
        content = read_small(vault.settings.root / "keyring.json", KEYRING_LIMIT_BYTES)
        known = vault.keyring.security_keys.get(person, [])
        write_keyring(vault, with_security_keys(content, person, change(known)))


def _tell(vault: Vault, who: Signed, action: str, label: str) -> None:
    vault.record(Entry(action, who.actor.person, None, {"label": label}))
