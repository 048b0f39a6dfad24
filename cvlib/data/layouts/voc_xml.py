"""Parse Pascal VOC's XML files; entity declarations are rejected, because entities can expand without limit."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

from cvlib.data.findings import ERROR
from cvlib.data.layouts.collection import Collection


def parsed(collection: Collection, xml: Path) -> Element | None:
    """Return the root element of an XML file; if it can't be read, add a finding and return None."""
    from defusedxml import ElementTree

    try:
        content = xml.read_bytes()
        tree: Element = ElementTree.fromstring(content)
    except (SyntaxError, ValueError, LookupError, OSError) as error:  # ValueError: defusedxml refuses entities
        reason = "it is empty" if xml.is_file() and not xml.stat().st_size else " ".join(str(error).split())
        collection.blame(ERROR, "bad XML", xml, f"can't be read as XML: {reason}", "repair or remove it")
        return None
    for element in tree.iter():  # namespaces don't change the meaning of the tags
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]
    for element in tree.findall("object"):
        if (element.findtext("deleted") or "").strip() == "1":  # LabelMe keeps what users remove
            tree.remove(element)
    return tree


def around_polygon(element: Element) -> tuple[float, float, float, float] | None:
    """Return the corners of the box around an object's polygon, as LabelMe's web tool writes it; None without one."""
    points = element.findall("polygon/pt")
    try:
        xs, ys = ([float(point.findtext(axis) or "") for point in points] for axis in "xy")
    except ValueError:
        return None
    return (min(xs), min(ys), max(xs), max(ys)) if points else None
