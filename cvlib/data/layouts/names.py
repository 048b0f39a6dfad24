"""Meaning of folder and file names: which split they are, and whether they hold images, masks or other labels.

This is the only module that knows these words. The name of a split is never taken for a class if another split, or
class folders inside, confirm that it is a split.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SPLITS = {
    "train": "train", "training": "train", "trainval": "train", "trn": "train", "learn": "train", "learning": "train",
    "test": "test", "testing": "test", "tst": "test", "holdout": "test", "evaluation": "test", "privatetest": "test",
    "val": "val", "valid": "val", "validation": "val", "validate": "val", "dev": "val", "devel": "val",
    "development": "val", "publictest": "val",
}  # fmt: skip
# The same words in other languages, without accents. Scripts without spaces have affixes of their own.
_SPLITS |= {word: split for split, listed in {
    "train": "entrenamiento entrenar treino treinamento entrainement apprentissage addestramento trainieren "
    "trainingsdaten trainingsbilder trainingssatz lernen training treningowy trening egitim ogrenme "
    "тренировка обучение обучающая 训练 訓練 訓練用 学習 학습 훈련",
    "val": "validacion validacao validierung validierungsdaten validazione convalida walidacja dogrulama gecerleme "
    "валидация проверка 验证 驗證 検証 검증",
    "test": "prueba pruebas teste testes essai essais testdaten testbilder testsatz prova testowy тест тестирование "
    "тестовая 测试 測試 テスト 테스트 시험",
}.items() for word in listed.split()}  # fmt: skip
# Words that may accompany a word for a split: seg_train, training_set, train_images, train2017, stage1_train.
_SPLIT_AFFIXES = _set(
    "set sets data dataset images image imgs img pics pictures photos files seg split splits final stage new all full "
    "original raw samples folder dir x obj object objects frames jpg jpeg png cropped resized v part labels label "
    "annotations annotation classes list lists csv masks mask gt crop crops solution "
    "集 用 数据 数据集 数据 データ 세트 데이터"
)
_NNUNET = re.compile(r"(?:images|labels)(Tr|Ts|Val)$")  # nnU-Net: imagesTr, labelsTs
_NNUNET_SPLITS = {"Tr": "train", "Ts": "test", "Val": "val"}
_UNLABELLED = _set("pred preds submission submissions unlabeled unlabelled unlab inference infer")

IMAGES, MASKS, LABELS, FIELD_OF_VIEW = "images", "masks", "labels", "field of view"
_ROLES = {
    IMAGES: "images image imgs img jpegimages jpgs photos pictures pics original originals orig raw input inputs rgb "
    "leftimg8bit frames sat",
    MASKS: "masks mask segmentation segmentations segmentationclass segmentationclasspng seg segs groundtruth "
    "groundtruths gt gts ground truth trimaps trimap manual gtfine gtcoarse target targets labelmap labelmaps output "
    "outputs segmap segmaps",
    LABELS: "labels label lbl lbls annotations annotation annots annot anno annos xmls xml ann labeltxt labelids",
    FIELD_OF_VIEW: "fov fovs fovmask roi",
}
_FORMATS = _set("png jpg jpeg tif tiff bmp")  # images_png
_ROLE_OF = {word: role for role, words in _ROLES.items() for word in words.split()}
_GROUPS = _set(
    "fold folds patient patients pat subject subjects subj sub site sites session sessions visit center centre "
    "hospital video videos seq sequence scan batch run part cv kfold case slide volunteer user tile tiles "
    "scene area region"
)


def words(name: str) -> list[str]:
    """Return the words of a name in lower case, without digits: seg_train → seg, train; PublicTest → public, test."""
    if match := _NNUNET.search(name):
        name = name[: match.start(1)] + " " + _NNUNET_SPLITS[match[1]]
    text = unicodedata.normalize("NFC", name)
    text = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", text)
    found = re.findall(r"[^\W\d_]+", text.lower())
    return [part for word in found for part in _parts(word)]


@cache
def _parts(word: str) -> list[str]:
    """Return a word for a split without accents, and apart from what is joined to it: trainset → train, set."""
    plain = _plain(word)
    if plain in _SPLITS:
        return [plain]
    for split in _SPLITS:
        for rest, parts in ((plain.removeprefix(split), [split, plain[len(split) :]]),
                            (plain.removesuffix(split), [plain[: -len(split)], split])):  # fmt: skip
            if rest != plain and rest in _SPLIT_AFFIXES and (len(rest) > 2 or not rest.isascii()):
                return parts
    return [word]


def _plain(word: str) -> str:
    """Return a word without accents, if it has Latin letters."""
    parts = unicodedata.normalize("NFD", word)
    return "".join(c for c in parts if not "\u0300" <= c <= "\u036f") if parts[:1] < "\u0250" else word


def split_of(name: str) -> str | None:
    """Return the split meant by the name of a folder or file (without extension) or by a value, or None."""
    joined = "".join(words(name))
    if joined in _SPLITS:
        return _SPLITS[joined]
    found, rest = _split(name)
    return found if found and all(word in _SPLIT_AFFIXES for word in rest) else None


def exact_split(name: str) -> str | None:
    """Return the split that a name means if it consists only of words for a split, or None."""
    return _SPLITS.get("".join(words(name)))


def splits_among(names: Iterable[str]) -> dict[str, str]:
    """Return the splits meant by names in one folder; names such as birds_train and birds_test confirm each other."""
    names = list(names)
    found = {name: split for name in names if (split := split_of(name))}
    rests: dict[tuple[str, ...], set[str]] = {}
    for name in names:
        split, rest = _split(name)
        if split:
            rests.setdefault(tuple(rest), set()).add(split)
    for name in names:
        split, rest = _split(name)
        if split and name not in found and len(rests[tuple(rest)]) > 1:
            found[name] = split
    return found


def _split(name: str) -> tuple[str | None, list[str]]:
    """Return the only split among the words of a name, or None, and its other words."""
    found = [word for word in words(name) if word in _SPLITS]
    splits = {_SPLITS[word] for word in found}
    if splits == {"train", "val"}:  # train_val is VOC's name for everything except the test split
        splits = {"train"}
    rest = [word for word in words(name) if word not in _SPLITS]
    return (splits.pop(), rest) if len(splits) == 1 else (None, rest)


def split_in(name: str) -> str | None:
    """Return the only split meant by any word of a file name, whatever its other words: instances_val2017."""
    return _split(name)[0]


def split_and_rest(name: str) -> tuple[str | None, list[str]]:
    """Return the only split meant by any word of a file name, and the words that usually don't accompany one."""
    split, rest = _split(name)
    return split, [word for word in rest if word not in _SPLIT_AFFIXES]


def is_unlabelled(name: str) -> bool:
    """Return whether a name indicates that its contents are for prediction and have no labels."""
    return any(word in _UNLABELLED or word.startswith("predict") for word in words(name))


def role_of(name: str) -> str | None:
    """Return what a folder of this name holds (`IMAGES`, `MASKS`, `LABELS`, `FIELD_OF_VIEW`), or None if unknown.

    All words count except those for a split: train_masks holds masks, images_train holds images.
    """
    roles = [_ROLE_OF.get(word) for word in words(name) if word not in _SPLITS]
    roles = [role for role in roles if role]
    others = [word for word in words(name) if word not in _SPLITS and word not in _ROLE_OF]
    if not roles or len(others) > 2:
        return None
    for role in (FIELD_OF_VIEW, MASKS, LABELS, IMAGES):  # image_masks are masks
        if role in roles:
            return role
    return None


def only_role(name: str) -> str | None:
    """Return the role of a folder whose name has no other words, so it is not a class: images, masks, ground truth."""
    rest = [word for word in words(name) if word not in _SPLITS and word not in _FORMATS]
    return role_of(name) if rest and all(word in _ROLE_OF for word in rest) else None


def has_group_word(name: str) -> bool:
    """Return whether a name mentions a fold, a patient, a site or a similar group: patient_07, siteA."""
    return any(word in _GROUPS or (word[:-1] in _GROUPS and name[-1:].isupper()) for word in words(name))


def looks_like_group(name: str) -> bool:
    """Return whether a name looks like a fold, a patient, a date or an id rather than a class."""
    if has_group_word(name):
        return True
    digits = sum(character.isdigit() for character in name)
    letters = sum(character.isalpha() for character in name)
    return digits > 0 and (letters <= 2 or bool(re.search(r"\d{4}[-_.]?\d{2}[-_.]?\d{2}", name)))
