"""The expected finding for every entry of the messy collection, or the comparison that shows that it is read correctly.

Keys are paths of the manifest without the task's folder. A value is a kind of finding that is reported for the same
path; a pair of kind and path if the finding is reported for another file; or `ReadCorrectly(how)` if the entry needs no
finding. Entries of kind `good` aren't listed, because there must be no finding for them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadCorrectly:
    """The entry is read correctly; `how` names the comparison that shows it."""

    how: str


HAT = "train/hat/"
SOURCE = ReadCorrectly("pixels of the photograph it was made from, and the label hat")
IGNORED = "stray file"

CLASSIFICATION = {
    f"{HAT}truncated.jpg": "truncated image",
    f"{HAT}truncated_last_bytes.jpg": "truncated image",
    f"{HAT}header_only.jpg": "truncated image",
    f"{HAT}bit_rot.jpg": "corrupt image",
    f"{HAT}zero_byte.jpg": "empty file",
    f"{HAT}text_renamed.jpg": "not an image",
    f"{HAT}html_renamed.jpg": "not an image",
    f"{HAT}cmyk.jpg": "colour mode",
    f"{HAT}gray.jpg": SOURCE,
    f"{HAT}gray16.png": "colour mode",
    f"{HAT}palette_alpha.png": "colour mode",
    f"{HAT}rgba.png": "colour mode",
    f"{HAT}gray_alpha.png": "colour mode",
    f"{HAT}bilevel.png": "colour mode",
    f"{HAT}exif_rotated_6.jpg": "EXIF rotation",
    f"{HAT}exif_rotated_3.jpg": "EXIF rotation",
    f"{HAT}animated.gif": "animation",
    f"{HAT}one_frame.gif": SOURCE,
    f"{HAT}webp_image.webp": SOURCE,
    f"{HAT}bitmap.bmp": SOURCE,
    f"{HAT}tiff_image.tif": SOURCE,
    f"{HAT}png_named.jpg": "wrong extension",
    f"{HAT}webp_named.jpg": "wrong extension",
    f"{HAT}no_extension": "wrong extension",
    f"{HAT}UPPER.JPG": SOURCE,
    f"{HAT}progressive.jpeg": SOURCE,
    f"{HAT}a file with spaces (1).jpg": SOURCE,
    f"{HAT}chapeau_été_帽子_😀.jpg": SOURCE,
    f"{HAT}café_nfd.jpg": SOURCE,
    f"{HAT}quote'and,comma;semi#hash%20.jpg": SOURCE,
    f"{HAT}glob[1]*name.jpg": SOURCE,
    f"{HAT}-leading-dash.jpg": SOURCE,
    f"{HAT}one_pixel.png": "tiny image",
    f"{HAT}very_wide.jpg": "tiny image",
    f"{HAT}large_dimensions.png": "huge image",
    f"{HAT}same_stem.jpg": SOURCE,
    f"{HAT}same_stem.png": SOURCE,
    f"{HAT}.DS_Store": IGNORED,
    f"{HAT}._truncated.jpg": IGNORED,
    f"{HAT}Thumbs.db": IGNORED,
    f"{HAT}desktop.ini": IGNORED,
    f"{HAT}notes.txt": IGNORED,
    f"{HAT}real_Abyssinian_34.jpg": "wrong extension",
    f"{HAT}real_Abyssinian_5.jpg": "wrong extension",
    "train/empty_class": "empty class",
    "train/only_hidden/.gitkeep": IGNORED,
    "train/nested_class/sub/deeper/img.jpg": ReadCorrectly("pixels of the photograph, and the label nested_class"),
    "train/loose.jpg": "loose image",
    "train/single_image_class/only.jpg": "single-image class",
    "test/unseen_class/a.jpg": ("class set", "test/unseen_class"),
    "train/Ünïcode class/a.jpg": ReadCorrectly("pixels of the photograph, and the label Ünïcode class"),
    "train/Hat/a.jpg": ("class name", "Hat"),
    "train/2/a.jpg": "single-image class",
    "train/10/a.jpg": "single-image class",
    "train/1/a.jpg": ("class order", "class 1"),
    "test/shoes/dup_exact.jpg": "duplicate in another split",
    "test/shoes/dup_reencoded.jpg": "near duplicate in another split",
    "test/shoes/dup_flipped.jpg": "near duplicate in another split",
    "train/pants/conflicting_label.jpg": "duplicate with another label",
    "train/shoes/dup_within.jpg": "duplicate",
}

XML = "Annotations/"
AS_WRITTEN = ReadCorrectly("the boxes of the XML, parsed here")
VOC = {
    f"{XML}box_outside.xml": "box outside",
    f"{XML}box_fully_outside.xml": "box fully outside",
    f"{XML}box_negative.xml": "box outside",
    f"{XML}box_swapped.xml": "degenerate box",
    f"{XML}box_zero_area.xml": "degenerate box",
    f"{XML}box_float.xml": AS_WRITTEN,
    f"{XML}box_text.xml": "invalid box number",
    f"{XML}box_empty_tag.xml": "invalid box number",
    f"{XML}box_missing.xml": "missing box",
    f"{XML}box_whole_image.xml": AS_WRITTEN,
    f"{XML}box_repeated.xml": "repeated box",
    f"{XML}box_two_classes.xml": "box with two classes",
    f"{XML}all_difficult.xml": "all difficult",
    f"{XML}class_unknown.xml": "unknown class",
    f"{XML}class_case_space.xml": "class name",
    f"{XML}class_empty.xml": "unknown class",
    f"{XML}no_objects.xml": AS_WRITTEN,
    f"{XML}size_zero.xml": "size tag",
    f"{XML}size_swapped.xml": "size tag",
    f"{XML}size_missing.xml": "size tag",
    f"{XML}filename_other.xml": "filename tag",
    f"{XML}filename_path.xml": AS_WRITTEN,
    f"{XML}filename_no_ext.xml": AS_WRITTEN,
    f"{XML}image_missing.xml": "missing image",
    "JPEGImages/xml_missing.jpg": "missing annotation",
    f"{XML}xml_truncated.xml": "bad XML",
    f"{XML}xml_empty.xml": "bad XML",
    f"{XML}xml_bom.xml": AS_WRITTEN,
    f"{XML}image_truncated.xml": ("truncated image", "JPEGImages/image_truncated.jpg"),
    f"{XML}exif_rotated.xml": ("EXIF rotation", "JPEGImages/exif_rotated.jpg"),
    f"{XML}name with space é.xml": AS_WRITTEN,
    f"{XML}not_in_any_list.xml": ("unlisted image", "JPEGImages/not_in_any_list.jpg"),
    "ImageSets/Main/val.txt": "in two splits",
    "ImageSets/Main/train.txt": "listed twice",
    "ImageSets/Main/test.txt": "empty list",
}

JSON = "annotations/"
COCO = {
    f"{JSON}bbox_negative_width.json": "degenerate box",
    f"{JSON}bbox_outside.json": "box outside",
    f"{JSON}bbox_three_numbers.json": "invalid box number",
    f"{JSON}bbox_missing.json": "missing box",
    f"{JSON}category_unknown.json": "unknown class",
    f"{JSON}image_id_unknown.json": "unknown image",
    f"{JSON}duplicate_image_id.json": "duplicate image id",
    f"{JSON}duplicate_annotation_id.json": "duplicate annotation id",
    f"{JSON}category_zero.json": ReadCorrectly("the boxes of the JSON, parsed here"),
    f"{JSON}iscrowd.json": ReadCorrectly("the boxes of the JSON, and which of them is a crowd"),
    f"{JSON}image_missing.json": "missing image",
    f"{JSON}file_name_subfolder.json": ReadCorrectly("the boxes of the JSON, parsed here"),
    f"{JSON}size_wrong.json": "size tag",
    f"{JSON}no_annotations.json": ReadCorrectly("six images without boxes"),
    f"{JSON}no_annotations_key.json": "no annotations",
    f"{JSON}top_level_list.json": "can't be read",
    f"{JSON}truncated.json": "can't be read",
}

TXT = "labels/train/"
YOLO = {
    f"{TXT}train_cam_image47.txt": "box fully outside",
    f"{TXT}train_cam_image48.txt": "unknown class",
    f"{TXT}train_cam_image50.txt": "polygon among boxes",
    f"{TXT}train_cam_image52.txt": ReadCorrectly("an image without boxes"),
    "images/train/train_cam_image9.jpg": "missing label file",
    f"{TXT}no_image.txt": "missing image",
    f"{TXT}classes.txt": IGNORED,
    "data.yaml": "class count",
}

MASK = "masks/"
IDS = ReadCorrectly("the mask it was made from")
SEGMENTATION = {
    f"{MASK}mask_smaller.png": "mask size",
    f"{MASK}mask_transposed.png": "mask size",
    f"{MASK}mask_off_by_one.png": "mask size",
    f"{MASK}label_undefined.png": "undefined ids",
    f"{MASK}mask_rgb.png": IDS,
    f"{MASK}mask_rgba.png": IDS,
    f"{MASK}mask_grey.png": IDS,
    f"{MASK}mask_0_255.png": "binary mask",
    f"{MASK}mask_16bit.png": IDS,
    f"{MASK}mask_1bit.png": ReadCorrectly("the cat's pixels of the mask it was made from"),
    f"{MASK}mask_palette_permuted.png": "palette reordered",
    "images/mask_jpeg.jpg": ("lossy mask", f"{MASK}mask_jpeg.jpg"),
    f"{MASK}mask_antialiased.png": "undefined ids",
    f"{MASK}mask_all_void.png": "mask all void",
    f"{MASK}mask_all_background.png": ReadCorrectly("zeros"),
    "images/mask_missing.jpg": "missing mask",
    f"{MASK}mask_empty_file.png": "unreadable mask",
    f"{MASK}mask_truncated.png": "unreadable mask",
    f"{MASK}image_missing.png": "missing image",
    f"{MASK}exif_rotated.png": ("EXIF rotation", "images/exif_rotated.jpg"),
    f"{MASK}image_cmyk.png": ("colour mode", "images/image_cmyk.jpg"),
    f"{MASK}image_grey.png": IDS,
    f"{MASK}not_in_any_list.png": ("unlisted image", "images/not_in_any_list.jpg"),
    "val.txt": "in two splits",
    "train.txt": "missing image",
}

TABLE: dict[str, dict[str, str | tuple[str, str] | ReadCorrectly]] = {
    "classification": CLASSIFICATION,
    "detection_voc": VOC,
    "detection_coco": COCO,
    "detection_yolo": YOLO,
    "segmentation": SEGMENTATION,
}
