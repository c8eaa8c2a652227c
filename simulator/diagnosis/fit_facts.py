"""What a free volume lacks that a claim asks for: what the claim asks, and what the volumes are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from msgspec import Struct

from simulator.api.core import PersistentVolume, PersistentVolumeClaim
from simulator.api.meta import Key
from simulator.api.volumes import VolumeResourceRequirements
from simulator.binding.reference import NOTHING, attributes_class, class_of, volume_mode
from simulator.diagnosis import relax
from simulator.diagnosis.draft import Draft
from simulator.diagnosis.fact import Fact
from simulator.explanation.words import listing, selector_text, short

Where = Callable[[Sequence[PersistentVolume]], tuple[str, ...]]
"""The closed nodes that reach any of some volumes."""


class _Trait(Struct, frozen=True):
    """Something that a claim and a volume must agree on.

    Attributes
    ----------
    asks, has : how the two say it.
    fits : whether a volume has what a claim asks for.
    to_claim, to_volume : the changes to one that make it agree with the other, as that one is then.
    """

    name: str
    field: str
    asks: Callable[[PersistentVolumeClaim], str]
    has: Callable[[PersistentVolume], str]
    fits: Callable[[PersistentVolume, PersistentVolumeClaim], bool]
    to_claim: Callable[[PersistentVolume], dict[str, Any]]
    to_volume: Callable[[PersistentVolumeClaim], dict[str, Any]]


_TRAITS: Final = (
    _Trait("size", "spec.resources.requests.storage", lambda claim: f"{claim.request or NOTHING}",
           lambda volume: f"{volume.capacity or NOTHING}",
           lambda volume, claim: (volume.capacity or NOTHING) >= (claim.request or NOTHING),
           lambda volume: {"resources": VolumeResourceRequirements(requests={"storage": volume.capacity or NOTHING})},
           lambda claim: {"capacity": {"storage": claim.request or NOTHING}}),
    _Trait("access modes", "spec.accessModes", lambda claim: listing(claim.spec.access_modes),
           lambda volume: f"only {listing(volume.spec.access_modes)}",
           lambda volume, claim: set(claim.spec.access_modes) <= set(volume.spec.access_modes),
           lambda volume: {"access_modes": volume.spec.access_modes},
           lambda claim: {"access_modes": claim.spec.access_modes}),
    _Trait("volumeMode", "spec.volumeMode", lambda claim: f"volumeMode {volume_mode(claim)}",
           lambda volume: f"volumeMode {volume_mode(volume)}",
           lambda volume, claim: volume_mode(volume) == volume_mode(claim),
           lambda volume: {"volume_mode": volume_mode(volume)}, lambda claim: {"volume_mode": volume_mode(claim)}),
    _Trait("attributes class", "spec.volumeAttributesClassName",
           lambda claim: f"volumeAttributesClassName {attributes_class(claim) or '(none)'}",
           lambda volume: f"volumeAttributesClassName {attributes_class(volume) or '(none)'}",
           lambda volume, claim: attributes_class(volume) == attributes_class(claim),
           lambda volume: {"volume_attributes_class_name": attributes_class(volume) or None},
           lambda claim: {"volume_attributes_class_name": attributes_class(claim) or None}),
)
_CLASS: Final = _Trait(
    "class", "spec.storageClassName", lambda claim: f"class {class_of(claim) or '(none)'}",
    lambda volume: f"class {class_of(volume) or '(none)'}",
    lambda volume, claim: class_of(volume) == class_of(claim),
    lambda volume: {"storage_class_name": class_of(volume)}, lambda claim: {"storage_class_name": class_of(claim)},
)


def misfits(
    claim: PersistentVolumeClaim, volumes: Sequence[PersistentVolume], where: Where = lambda volumes: ()
) -> Iterator[Fact]:
    """Free volumes that are too small, or of another sort: what the claim asks for, and what they are.

    Parameters
    ----------
    where : the closed nodes that reach any of some volumes.
    """
    traits: tuple[_Trait, ...] = _TRAITS
    of_class = [volume for volume in volumes if class_of(volume) == class_of(claim)]
    if not of_class:  # else the class has volumes, and those of other classes are nobody's concern
        traits, of_class = (*_TRAITS, _CLASS), list(volumes)
    for trait in traits:
        others = [volume for volume in of_class if not trait.fits(volume, claim)]
        if not others:
            continue
        yield Fact(f"asks {trait.name} {claim.key}", f"{short(claim)} asks for {trait.asks(claim)}", (claim.key,),
                   f"if it asked for what {others[0].name} has",
                   partial(_adapt_claim, key=claim.key, volume=others[0].name, trait=trait), trait.field,
                   where(others), kind=f"asks {trait.name}")
        names = [volume.name for volume in others]
        verb = "has" if len(others) == 1 else "have"
        has = listing(dict.fromkeys(trait.has(volume) for volume in others))
        yield Fact(f"volumes {trait.name} for {claim.key}", f"{listing(names)} {verb} {has}",
                   tuple(each.key for each in others), "if what is asked for",
                   partial(_adapt_volumes, names=names, key=claim.key, trait=trait),
                   "spec.capacity" if trait.name == "size" else trait.field, where(others),
                   kind=f"volume {trait.name}")
    selector = claim.spec.selector
    plain = [volume for volume in of_class if selector is not None and not selector.selects(volume.metadata.labels)]
    if selector is not None and plain:
        yield Fact(f"asks labels {claim.key}", f"{short(claim)} asks for a volume with {selector_text(selector)}",
                   (claim.key,), "if it did not", partial(no_selector, key=claim.key), "spec.selector",
                   where(plain), kind="asks labels")


def _adapt_claim(draft: Draft, key: Key, volume: str, trait: _Trait) -> None:
    if (found := draft.get(PersistentVolume, volume)) is not None:
        relax.change_claim(draft, key, **trait.to_claim(found))


def _adapt_volumes(draft: Draft, names: Sequence[str], key: Key, trait: _Trait) -> None:
    claim = draft.objects.get(key)
    if isinstance(claim, PersistentVolumeClaim):
        relax.change_volumes(draft, names, **trait.to_volume(claim))


def no_selector(draft: Draft, key: Key) -> None:
    """Let a claim take volumes with whatever labels."""
    relax.change_claim(draft, key, selector=None)
