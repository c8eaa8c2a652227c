"""Which volumes claims could take, and which they will: the volume controller's order, without running it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from simulator.api.apps import StatefulSet
from simulator.api.core import PersistentVolume
from simulator.binding.reference import NOTHING, attributes_class, bucket_of, volume_mode
from simulator.preflight.inventory import Inventory, Item, Wish, is_free

Volumes = list[Item[PersistentVolume]]


class Supply(Struct, frozen=True):
    """The free volumes that some claims could take.

    Attributes
    ----------
    volumes : those that will do.
    of_class : all free ones of the class.
    reserved : how many of the claims have a volume that names them.
    short_of : what the last volumes failed on, in the order in which they are sorted out; empty if some will do.
    """

    volumes: Volumes
    of_class: Volumes
    reserved: int
    short_of: str = ""


MODE: Final = "volume mode"
ACCESS: Final = "access modes"
SELECTOR: Final = "selector"
SIZE: Final = "size"


def supply(inventory: Inventory, wish: Wish) -> Supply:
    """The free volumes that the claims could take (VB-32, VB-38, VB-39)."""
    claim = wish.claim
    of_class = [item for item in inventory.volumes_of_class(wish.storage_class) if is_free(item.obj)]
    reserved = _reserved(inventory, wish)
    wanted, request = set(claim.spec.access_modes), claim.request or NOTHING
    selector = claim.spec.selector
    tests: tuple[tuple[str, Callable[[PersistentVolume], bool]], ...] = (
        (MODE, lambda volume: volume_mode(volume) == volume_mode(claim)
            and attributes_class(volume) == attributes_class(claim)),
        (ACCESS, lambda volume: wanted.issubset(volume.spec.access_modes)),
        (SELECTOR, lambda volume: selector is None or selector.selects(volume.metadata.labels)),
        (SIZE, lambda volume: request <= (volume.capacity or NOTHING)),
    )
    left = of_class
    for name, will_do in tests:
        passed = [item for item in left if will_do(item.obj)]
        if left and not passed:
            return Supply([], of_class, reserved, name)
        left = passed
    return Supply(left, of_class, reserved)


def _reserved(inventory: Inventory, wish: Wish) -> int:
    """How many of the claims that are not bound yet have a volume that names them."""
    obj = wish.item.obj
    if isinstance(obj, StatefulSet):
        names = {obj.claim_name(wish.claim.name, ordinal) for ordinal in obj.ordinals if ordinal not in wish.bound}
    else:
        names = {wish.claim.name} if not wish.bound else set()
    return len(names & inventory.reserved_names(wish.claim.namespace))


class Taken(Struct, frozen=True):
    """What a number of equal claims takes, one after another, wherever their pods will run (VB-28 to VB-30).

    Attributes
    ----------
    certain : volumes that are taken in every case.
    tied : equally good volumes, of which `drawn` are taken.
    """

    certain: Volumes
    tied: Volumes
    drawn: int


def taken(volumes: Sequence[Item[PersistentVolume]], number: int) -> Taken:
    """The fewest access modes first, then the smallest; equally good ones are drawn among."""
    tiers: dict[tuple[int, int], Volumes] = {}
    for item in volumes:
        capacity = item.obj.capacity or NOTHING
        tiers.setdefault((len(bucket_of(item.obj)), capacity.nano), []).append(item)
    certain: Volumes = []
    left = number
    for rank in sorted(tiers):
        if len(tiers[rank]) > left:
            return Taken(certain, tiers[rank] if left else [], left)
        certain.extend(tiers[rank])
        left -= len(tiers[rank])
    return Taken(certain, [], 0)
