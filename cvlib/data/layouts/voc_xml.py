"""Pascal VOC's XML files, read without growing entities."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

from cvlib.data.findings import ERROR
from cvlib.data.layouts.collection import Collection


def parsed(collection: Collection, xml: Path) -> Element | None:
    """The tree of a file; None, with a finding, where it can't be read."""
    from defusedxml import ElementTree

    try:
        content = xml.read_bytes()
        tree: Element = ElementTree.fromstring(content)
    except (SyntaxError, ValueError, LookupError, OSError) as error:  # ValueError: defusedxml refuses entities
        reason = "it is empty" if xml.is_file() and not xml.stat().st_size else " ".join(str(error).split())
        collection.blame(ERROR, "bad XML", xml, f"can't be read as XML: {reason}", "repair it or take it out")
        return None
    for element in tree.iter():  # a namespace changes nothing of what the tags mean
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
    return tree
