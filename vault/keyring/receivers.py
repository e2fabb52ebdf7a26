"""Keys: who seals can't open, who opens can't do it alone (FORMAT.md, sections 3 and 4).

A `Wrapper` holds public keys only: the dock is built with one. An `Unwrapper` holds one receiver's
private key: half of what it takes.
"""

from collections.abc import Iterable, Mapping

from vault.crypto.hpke import key_id, open_with, public_of, seal_to
from vault.crypto.shares import Half, WrappedKey, half_info, split
from vault.errors import CannotOpen
from vault.rules.roles import PAIRS, Pair, officer_pairs, officer_receiver


class Wrapper:
    """Seals only: the receivers' public keys, checked and pinned by the keyring."""

    def __init__(
        self,
        vault_id: str,
        keyring_version: int,
        public_keys: Mapping[str, bytes],
        holders: Mapping[str, frozenset[str]],
    ) -> None:
        """`holders`: function to the persons who hold it, so that no pair is sealed whose two seats
        are one person's.
        """
        self.vault_id = vault_id
        self.keyring_version = keyring_version
        self._public_keys = public_keys
        self._holders = holders

    def wrap(
        self, data_key: bytes, recording_id: str, officer: str | None = None
    ) -> tuple[WrappedKey, ...]:
        """Split and seal a data key for each pair that the policy names. `officer`: the person who
        recorded, where known.
        """
        known = officer is not None and officer_receiver(officer) in self._public_keys
        pairs = (
            *PAIRS,
            *(officer_pairs(officer, self._holders) if officer is not None and known else ()),
        )
        return tuple(self.wrap_for(pair, data_key, recording_id) for pair in pairs)

    def wrap_for(self, pair: Pair, data_key: bytes, recording_id: str) -> WrappedKey:
        """Split and seal a data key for one pair."""
        receivers = sorted(pair.receivers)
        halves = []
        for to, half in zip(receivers, split(data_key), strict=True):
            public = self._public_keys[to]
            key = key_id(public)
            info = half_info(self.vault_id, recording_id, pair.name, to, key)
            halves.append(Half(to, key, seal_to(public, half, info)))
        return WrappedKey((receivers[0], receivers[1]), (halves[0], halves[1]))


class Unwrapper:
    """Opens one half: one receiver's private keys (the newest and older ones), alive only while
    they are needed.
    """

    def __init__(
        self, vault_id: str, receiver: str, person: str, privates: Iterable[bytes]
    ) -> None:
        self.receiver = receiver
        self.person = person
        self._vault_id = vault_id
        self._privates = {key_id(public_of(private)): private for private in privates}

    def half(self, wrapped: WrappedKey, recording_id: str) -> bytes:
        """This receiver's half of a data key. Raises CannotOpen."""
        for half in wrapped.halves:
            if half.to == self.receiver and half.key in self._privates:
                info = half_info(
                    self._vault_id, recording_id, "+".join(wrapped.pair), half.to, half.key
                )
                return open_with(self._privates[half.key], half.sealed, info)
        raise CannotOpen(f"The recording is not sealed to this key of {self.receiver}.")

    def wipe(self) -> None:
        """Forget the private keys."""
        self._privates.clear()
