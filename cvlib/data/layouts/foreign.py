"""Known but unsupported annotation formats, each with its name and the easiest way to convert it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cvlib.data.labels import BOXES, CLASS, CLASS_SET, MASK, LabelKind
from cvlib.data.layouts import evidence
from cvlib.data.layouts.collection import name_of
from cvlib.data.layouts.evidence import Evidence
from cvlib.data.layouts.survey import Survey

_BOTH = (BOXES, MASK)
_ALL = (CLASS, BOXES, MASK)
_MAX_EXAMINED = 40  # approximate maximum number of files to examine per format


@dataclass(frozen=True)
class Format:
    """An unsupported format: how to recognise its files, the kinds of labels in it, and what to do."""

    title: str
    suffixes: tuple[str, ...]
    advice: str
    kinds: tuple[LabelKind, ...]
    matches: Callable[[str], bool] | None = None  # receives the beginning of a file; None: every file with the suffix


def _has(*words: str) -> Callable[[str], bool]:
    return lambda head: all(word in head for word in words)


def _is_pickle(head: str) -> bool:
    return head[:1] == "\ufffd" and head[1:2] in "\2\3\4\5"  # a byte that is not UTF-8, and the protocol


_TO_COCO = "export or convert it to COCO, YOLO or Pascal VOC"
FORMATS = (
    Format("CVAT for images XML", (".xml",), "export from CVAT as COCO 1.0 or Pascal VOC 1.1", _BOTH,
           lambda head: "<annotations" in head and ("<image " in head or "<track " in head or "<meta>" in head)),
    Format("LabelMe JSON", (".json",), "convert it with labelme2coco or labelme2voc to COCO or Pascal VOC", _BOTH,
           _has('"shapes"', '"imagePath"')),
    Format("VIA (VGG Image Annotator) JSON", (".json",), "export from VIA as COCO", _BOTH,
           lambda head: '"_via_' in head or ('"regions"' in head and '"shape_attributes"' in head)),
    Format("VIA (VGG Image Annotator) CSV", (".csv",), "export from VIA as COCO", _BOTH,
           _has("region_shape_attributes")),
    Format("Supervisely JSON", (".json",), "export from Supervisely as COCO, Pascal VOC or masks", _BOTH,
           lambda head: '"classTitle"' in head or '"geometryType"' in head),
    Format("Label Studio JSON", (".json",), "export from Label Studio as COCO, YOLO or Pascal VOC", _BOTH,
           lambda head: ('"from_name"' in head and '"to_name"' in head) or '"original_width"' in head),
    Format("Labelbox JSON", (".json", ".ndjson"), "convert it to COCO", _BOTH,
           lambda head: '"data_row"' in head or '"Labeled Data"' in head),
    Format("Darwin (V7) JSON", (".json",), "export from V7 as COCO, YOLO or Pascal VOC", _BOTH, _has('"schema_ref"')),
    Format("Datumaro JSON", (".json",), "convert it with datumaro to COCO, YOLO or Pascal VOC", _BOTH,
           _has('"items"', '"label_id"')),
    Format("SuperAnnotate JSON", (".json",), "export from SuperAnnotate as COCO", _BOTH,
           lambda head: '"className"' in head and '"instances"' in head),
    Format("VoTT JSON", (".json",), "export from VoTT as CSV or Pascal VOC", _BOTH, _has('"assets"', '"regions"')),
    Format("Scale JSON", (".json",), "convert it to COCO", _BOTH, _has('"task_id"', '"response"')),
    Format("BDD100K JSON", (".json",), "convert it to COCO with bdd100k.label.to_coco", _BOTH, _has('"box2d"')),
    Format("FiftyOne JSON", (".json",), "export from FiftyOne as COCO, YOLO or class folders", _ALL,
           lambda head: '"_cls"' in head or ('"classes"' in head and '"labels"' in head and '"images"' not in head)),
    Format("COCO captions", (".json",), "a caption is not a label: use the instances file of the same images", _BOTH,
           lambda head: '"caption"' in head and '"image_id"' in head and '"bbox"' not in head),
    Format("Cityscapes polygons", (".json",), "use the gtFine *_labelIds.png masks instead", (MASK,),
           _has('"imgHeight"', '"objects"', '"polygon"')),
    Format("KITTI text", (".txt",), _TO_COCO, (BOXES,),
           lambda head: re.match(r"[A-Za-z]\w*( -?[\d.]+){14}", head) is not None),
    Format("DOTA text", (".txt",), _TO_COCO, (BOXES,),
           lambda head: re.match(r"(imagesource.*\s+gsd.*\s+)?(-?[\d.]+ ){8}[A-Za-z]", head) is not None),
    Format("WIDER FACE text", (".txt",), _TO_COCO, (BOXES,),
           lambda head: re.match(r"\S+\.(jpg|jpeg|png)\s*\n\d+\s*\n( ?\d+){10}", head) is not None),
    Format("MOT or VisDrone text", (".txt",), _TO_COCO, (BOXES,),
           lambda head: re.match(r"(-?[\d.]+,){7,9}-?[\d.]*\s*\n", head + "\n") is not None),
    Format("YOLO text for PyTorch (image x1,y1,x2,y2,class …)", (".txt",), _TO_COCO, (BOXES,),
           lambda head: re.match(r"\S+\.(jpg|jpeg|png)( \d+,\d+,\d+,\d+,\d+)+\s*\n", head + "\n") is not None),
    Format("LabelMe XML", (".xml",), "a detector reads its boxes; for masks, convert its polygons to COCO", (MASK,),
           _has("<annotation", "<polygon>", "<pt>")),
    Format("Open Images CSV", (".csv",), "put it beside the images as labels.csv, with the same columns", (BOXES,),
           _has("ImageID", "LabelName", "XMin", "XMax")),
    Format("MakeSense CSV (label,x,y,width,height,image,…)", (".csv",), "export from MakeSense as YOLO or Pascal "
           "VOC, or add the line class,x,y,width,height,file,image_width,image_height at the top", (BOXES,),
           lambda head: re.match(r"[^,\n]+(,\d+){4},[^,\n]+\.(jpg|jpeg|png),\d+,\d+\s*\n", head + "\n") is not None),
    Format("AutoML CSV", (".csv",), "write a labels.csv with the columns file, label and split (for boxes: and xmin, "
           "ymin, xmax, ymax in pixels)", _ALL, lambda head: re.match(r'([A-Z]+,)?"?gs://', head) is not None),
    Format("a SageMaker manifest", (".manifest",), "convert it to COCO, or write a labels.csv with file and label",
           _ALL),
    Format("a text list of boxes (image;x1;y1;x2;y2;class)", (".txt",), "save it as labels.csv, with the line "
           "file,xmin,ymin,xmax,ymax,label at the top", (BOXES,),
           lambda head: re.match(r"\S+\.(jpe?g|png|ppm|bmp)([,; ]\d+){5}\s*\n", head + "\n") is not None),
    Format("CelebA's list of attributes", (".txt",), "save it as labels.csv, with the column file and one column "
           "for each attribute", (CLASS, CLASS_SET),
           lambda head: re.match(r"\d+\s*\n(\w+ +)+\w*\s*\n\S+\.\w{3,4}( +-?1)+ *\n", head) is not None),
    Format("CrowdHuman JSON lines", (".odgt",), _TO_COCO, (BOXES,)),
    Format("JSON lines", (".jsonl", ".ndjson"), "write a labels.csv with file and label", _ALL),
    Format("TFRecord", (".tfrecord", ".tfrecords", ".record", ".tfrec"), "extract its images into class folders, "
           "or write COCO or Pascal VOC", _ALL),
    Format("LMDB", (".mdb", ".lmdb"), "extract its images into class folders", _ALL),
    Format("RecordIO", (".rec",), "extract its images into class folders", _ALL),
    Format("a pickle", ("", ".pkl", ".pickle"), "opening it could run code: save its images into class folders (for "
           "CIFAR, take the binary version, or data.tfds=cifar10)", (CLASS,), _is_pickle),
    Format("MATLAB", (".mat",), "save its images and labels as image files and a labels.csv with the columns file and "
           "label (with scipy.io.loadmat, or h5py for version 7.3)", _BOTH, _has("MATLAB ")),
    Format("HDF5", (".h5", ".hdf5"), "save its images into class folders with h5py", _ALL),
    Format("GeoJSON", (".geojson",), "draw its polygons as masks, with rasterio.features.rasterize", _BOTH,
           _has('"FeatureCollection"')),
    Format("a table of pixels", (".csv",), "save each row as an image file in a folder named after its class", (CLASS,),
           lambda head: re.search(r"(?i)(^|,)(pixels|1x1|pixel_?(0+|1))(,|$)", head.partition("\n")[0]) is not None),
    Format("a table of run-length masks", (".csv",), "draw the runs as mask files, one per image", (CLASS, MASK),
           lambda head: re.search(r"(?i)encoded_?pixels|(^|,)rle(_mask)?(,|$)", head.partition("\n")[0]) is not None),
)  # fmt: skip


def signs(survey: Survey) -> list[Evidence]:
    """Return evidence of unsupported formats among the files below the root."""
    found = []
    for form in FORMATS:
        files = [file for suffix in form.suffixes for file in survey.by_suffix.get(suffix, [])]
        if ".tfrecord" in form.suffixes:  # train.tfrecord-00000-of-00004
            files += [file for file in survey.files if ".tfrecord-" in file.name.lower()]
        some = [file for file in _spread(files) if form.matches is None or form.matches(survey.head(file))]
        if not some:
            continue
        first = name_of(some[0], survey.root)
        why = f"{evidence.counted(len(files), 'file')} of {form.title} ({first})"
        refusal = f"{first} is {form.title}, which is not supported: {form.advice}"
        found += [Evidence("foreign", kind, survey.root, 0.5, why, form.title, refusal) for kind in form.kinds]
    return found + _archives(survey)


def _spread(files: list[Path]) -> list[Path]:
    return files[:: max(1, len(files) // _MAX_EXAMINED)]


def _archives(survey: Survey) -> list[Evidence]:
    """Return evidence of archives in a folder without images: the user probably means one of them."""
    files = [
        file for suffix in (".zip", ".tar", ".tgz", ".gz", ".7z", ".rar") for file in survey.by_suffix.get(suffix, [])
    ]
    files = [file for file in files if not file.name.lower().endswith(".nii.gz")]
    if not files or survey.images:
        return []
    first = name_of(files[0], survey.root)
    refusal = (f"{first} is {f'one of {len(files)} archives' if len(files) > 1 else 'an archive'}: unpack it, or set "
               f"data.path={files[0]}")  # fmt: skip
    return [Evidence("foreign", kind, survey.root, 0.5, "archives", "an archive", refusal) for kind in _ALL]
