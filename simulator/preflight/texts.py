"""The texts that a preflight reads, and which of them are dumps of a running cluster."""

from __future__ import annotations

import gc
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, TextIO

from simulator.errors import ManifestError
from simulator.manifests.documents import Complaint, Document, read_documents
from simulator.manifests.loader import MAX_ERRORS
from simulator.manifests.origin import Source
from simulator.manifests.sources import Unreadable, expand

_EMPTY_LIST: Final = re.compile(rb"[\"']?items[\"']?\s*:\s*\[\s*\]")
_MOMENT: Final = re.compile(rb"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


class Text(NamedTuple):
    """A text and its documents.

    Attributes
    ----------
    is_dump : whether it is a list of objects with uids, as ``kubectl get -o yaml`` prints them; or an empty one.
    latest : the latest point in time that is written anywhere in it, as text; "" if there is none.
    """

    source: Source
    documents: list[Document]
    is_dump: bool
    latest: str

    @property
    def name(self) -> str:
        """As the user named it."""
        return self.source.name


def read_texts(sources: Sequence[str], stdin: TextIO | None) -> list[Text]:
    """Files, folders and standard input, in order.

    Raises
    ------
    ManifestError
        If something cannot be read, or is neither YAML nor JSON, or holds what is no object.
    """
    texts: list[Text] = []
    errors: list[str] = []
    was_enabled = gc.isenabled()
    gc.disable()  # plain data has no cycles; looking for them costs a tenth of the time
    try:
        for found in expand(sources, stdin):
            if isinstance(found, Unreadable):
                errors.append(str(found))
                continue
            source, content = found
            documents: list[Document] = []
            for each in read_documents(source, content):
                if isinstance(each, Complaint):
                    errors.append(each.message)
                else:
                    documents.append(each)
            is_dump = _has_uids(documents) or (not documents and _EMPTY_LIST.search(content) is not None)
            latest = max(_MOMENT.findall(content), default=b"").decode() if is_dump else ""
            texts.append(Text(source, documents, is_dump, latest))
            if len(errors) >= MAX_ERRORS:
                break
    finally:
        if was_enabled:
            gc.enable()
    if errors:
        raise ManifestError("\n".join([*errors[:MAX_ERRORS], *(["There are more errors. Mend these first."]
                                                               if len(errors) > MAX_ERRORS else [])]))
    return texts


def _has_uids(documents: Sequence[Document]) -> bool:
    """Whether documents come from a list, and a server has given one of them a uid."""
    return any(document.origin.base and (_metadata(document).get("uid")) for document in documents)


def _metadata(document: Document) -> dict[str, object]:
    metadata = document.raw.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
