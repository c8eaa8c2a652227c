"""What the external provisioner remembers, of its own work and of the storage behind it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from simulator.api.core import PersistentVolumeClaim
from simulator.api.meta import Key
from simulator.controllers.storage_driver import Asset, StorageDriver


class Memory(Struct):
    """The memory of the provisioner, and of the storage behind it.

    Attributes
    ----------
    drivers : behaviour that was changed during the run.
    failures : claims and volumes whose last attempts failed, and how often.
    in_progress : claims whose volume the driver may be making already: it goes on with them as they were (VB-104).
    assets : what exists in the storage, by volume name.
    used : how much of a limited pool is taken, in billionths of a byte.
    made : volumes that it has created, and not seen yet.
    """

    drivers: dict[str, StorageDriver] = {}
    failures: dict[Key, int] = {}
    in_progress: dict[Key, PersistentVolumeClaim] = {}
    assets: dict[str, Asset] = {}
    used: dict[tuple[str, str, str], int] = {}
    made: dict[str, None] = {}

    def copy(self) -> Memory:
        """A copy that shares what never changes."""
        return Memory(
            dict(self.drivers), dict(self.failures), dict(self.in_progress), dict(self.assets), dict(self.used),
            dict(self.made),
        )


class Configured(Struct, frozen=True):
    """A provisioner behaves differently from now on."""

    provisioner: str
    driver: StorageDriver


class Failed(Struct, frozen=True):
    """An attempt failed; `claim` is kept if the driver goes on with it."""

    key: Key
    claim: PersistentVolumeClaim | None = None


class Succeeded(Struct, frozen=True):
    """A claim or volume needs no further attempt."""

    key: Key


class Taken(Struct, frozen=True):
    """The driver has put a volume somewhere."""

    volume: str
    asset: Asset


class Made(Struct, frozen=True):
    """A volume has been created."""

    volume: str


class Seen(Struct, frozen=True):
    """The watch has brought a volume that was created before."""

    volume: str


class Freed(Struct, frozen=True):
    """The driver has deleted a volume."""

    volume: str


def remember(memory: Memory, what: Any) -> None:
    """Change the memory."""
    match what:
        case Configured():
            memory.drivers[what.provisioner] = what.driver
        case Failed():
            memory.failures[what.key] = memory.failures.get(what.key, 0) + 1
            if what.claim is not None:
                memory.in_progress[what.key] = what.claim
            else:
                memory.in_progress.pop(what.key, None)
        case Succeeded():
            memory.failures.pop(what.key, None)
            memory.in_progress.pop(what.key, None)
        case Taken():
            if what.volume not in memory.assets:
                memory.assets[what.volume] = what.asset
                memory.used[what.asset.pool] = memory.used.get(what.asset.pool, 0) + what.asset.nano
        case Made():
            memory.made[what.volume] = None
        case Seen():
            memory.made.pop(what.volume, None)
        case Freed():
            asset = memory.assets.pop(what.volume, None)
            if asset is not None:
                memory.used[asset.pool] -= asset.nano
