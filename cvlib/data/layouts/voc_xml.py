"""Reading of Pascal VOC's XML files, without expanding entities."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

from cvlib.data.findings import ERROR
from cvlib.data.layouts.collection import Collection


def parsed(collection: Collection, xml: Path) -> Element | None:
    """Return the tree of a file, or None with a finding if it can't be read."""
    from defusedxml import ElementTree

    try:
        content = xml.read_bytes()
        tree: Element = ElementTree.fromstring(content)
    except (SyntaxError, ValueError, LookupError, OSError) as error:  # ValueError: defusedxml refuses entities
        reason = "the file is empty" if xml.is_file() and not xml.stat().st_size else " ".join(str(error).split())
        collection.blame(ERROR, "bad XML", xml, f"can't be read as XML: {reason}", "repair or remove it")
        return None
    for element in tree.iter():  # namespaces don't change the meaning of the tags
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
    return tree
