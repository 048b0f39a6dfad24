"""PyTorch's weights files: tensors are read, and no code in a file ever runs."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvlib.models import torch_file
from cvlib.runtime.errors import UserError

PROTO, STOP, ORDERED_DICT = b"\x80\x02", b".", b"ccollections\nOrderedDict\n)R"
HEAD = (pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
        + pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}, 2))  # fmt: skip


# Helpers that assemble such files.


def text(value: str) -> bytes:
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


def number(value: int) -> bytes:
    return b"\x8a\x08" + value.to_bytes(8, "little", signed=True)  # LONG1


def row(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(key: str = "0", count: int = 6, kind: str = "FloatStorage", view: bytes = b"N") -> bytes:
    return (b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + number(count) + view
            + b"tQ")  # fmt: skip


def tensor(data: bytes, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    return (b"ctorch._utils\n_rebuild_tensor_v2\n(" + data + number(offset) + row(shape) + row(strides) + b"\x89"
            + ORDERED_DICT + b"tR")  # fmt: skip


def state(**tensors: bytes) -> bytes:
    return PROTO + ORDERED_DICT + b"(" + b"".join(text(name) + data for name, data in tensors.items()) + b"u" + STOP


def raw(numbers: Any, dtype: str = "<f4") -> bytes:
    array = np.asarray(numbers, dtype)
    return array.size.to_bytes(8, "little") + array.tobytes()


SIX = raw(range(6))
ONE = HEAD + state(a=tensor(storage(), (2, 3), (3, 1))) + pickle.dumps(["0"], 2) + SIX


def with_pickle(content: bytes) -> bytes:
    """Return a file whose tensors are this pickle."""
    return HEAD + content + pickle.dumps(["0"], 2) + SIX


def with_tensor(data: bytes) -> bytes:
    return with_pickle(state(a=data))


def refusal(content: bytes) -> str:
    with pytest.raises(UserError) as caught:
        torch_file.parse(content, "some.pth")
    message = str(caught.value)
    assert message.startswith("some.pth is ") and "\n" not in message
    return message


# Reading tensors.


def test_several_tensors_are_read_by_name_in_order() -> None:
    tensors = {
        "b.weight": tensor(storage("7"), (2, 3), (3, 1)),
        "a.weight": tensor(storage("7"), (3, 2), (1, 3)),  # the same numbers, transposed
        "part": tensor(storage("7"), (2,), (1,), offset=3),
        "count": tensor(storage("8", 1, "LongStorage"), (), ()),
    }
    content = HEAD + state(**tensors) + pickle.dumps(["8", "7"], 2) + raw([12], "<i8") + SIX
    found = torch_file.parse(content, "some.pth")
    assert list(found) == list(tensors)
    np.testing.assert_array_equal(found["b.weight"], np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(found["a.weight"], found["b.weight"].T)
    np.testing.assert_array_equal(found["part"], [3, 4])
    assert found["count"].dtype == np.int64 and found["count"].shape == () and found["count"] == 12
    assert not any(array.flags.writeable for array in found.values())


def test_the_state_of_an_ordered_dict_is_left_out() -> None:
    data = text("a") + tensor(storage(), (6,), (1,))
    built = PROTO + ORDERED_DICT + b"(" + data + b"u" + b"}" + text("_metadata") + ORDERED_DICT + b"sb" + STOP
    assert list(torch_file.parse(with_pickle(built), "some.pth")) == ["a"]


# Files that are refused.


def test_only_the_file_with_the_digest_is_read(tmp_path: Path) -> None:
    file, digest = tmp_path / "some.pth", hashlib.sha256(ONE).hexdigest()
    file.write_bytes(ONE)
    assert list(torch_file.read(file, digest)) == ["a"]
    for place in range(0, len(ONE), 7):
        file.write_bytes(ONE[:place] + bytes([ONE[place] ^ 1]) + ONE[place + 1 :])
        with pytest.raises(UserError, match=r"some.pth is not the published file .*altered or cut short$"):
            torch_file.read(file, digest)


def test_a_file_that_cannot_be_read_or_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(UserError, match="can't be read: "):
            torch_file.read(file, "")
    (tmp_path / "some.pth").write_bytes(ONE)
    monkeypatch.setattr(torch_file, "_LARGEST", len(ONE) - 1)
    with pytest.raises(UserError, match="not the published file"):
        torch_file.read(tmp_path / "some.pth", hashlib.sha256(ONE).hexdigest())


ZIP = Path(__file__).parent / "data/torch_zip.pth"  # by torch 2.13


@pytest.mark.parametrize("name", ["torch_zip.pth", "torch_checkpoint.pth"])
def test_a_file_in_the_zip_format_is_read(name: str) -> None:
    tensors = torch_file.read_any(ZIP.parent / name)
    np.testing.assert_array_equal(tensors["a"], [[0, 1, 2], [4, 5, 6]])  # a view of a larger storage
    np.testing.assert_array_equal(tensors["t"], np.arange(12).reshape(3, 4).T)
    np.testing.assert_array_equal(tensors["h"], np.array([0.5, -2], np.float16))
    np.testing.assert_array_equal(tensors["b"], np.array([1.5, -3.25], np.float32))  # bfloat16
    assert tensors["n"].shape == () and tensors["n"] == 7


def test_a_zip_file_cut_short_or_altered_anywhere_gives_tensors_or_a_one_line_error() -> None:
    whole = ZIP.read_bytes()
    for length in range(0, len(whole), 7):
        refusal(whole[:length])
    for place in range(len(whole)):
        try:
            torch_file.parse(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :], "some.pth")
        except UserError as error:
            assert "\n" not in str(error)


def zipped(pickled: bytes, compression: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, data in {"data.pkl": pickled, "data/0": SIX[8:], **members}.items():
            archive.writestr(f"archive/{name}", data)
    return content.getvalue()


def test_other_zip_files_are_refused(tmp_path: Path) -> None:
    good = state(a=tensor(storage(), (2, 3), (3, 1)))
    assert list(torch_file.parse(zipped(good), "some.pth")) == ["a"]
    evil = pickle.dumps(Canary(tmp_path / "canary"), 2)
    for content in (zipped(evil), zipped(state(a=evil[2:-1])), zipped(good, zipfile.ZIP_DEFLATED), zipped(ONE),
                    zipped(good, byteorder=b"big"), zipped(good, **{"constants.pkl": b"", "code/a.py": b"x"}),
                    zipped(state(a=tensor(storage("1"), (6,), (1,)))),
                    zipped(state(a=tensor(storage(count=7), (7,), (1,))))):  # fmt: skip
        refusal(content)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 100, b"no pickle at all", b"\x89PNG\r\n\x1a\n", pickle.dumps({"a": 1}), HEAD, HEAD + ONE,
     pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1002, 2)],
)  # fmt: skip
def test_other_files_are_refused(content: bytes) -> None:
    assert "not a weights file of PyTorch" in refusal(content)


def test_big_endian_numbers_are_refused() -> None:
    assert "little-endian" in refusal(ONE.replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89"))


# No code runs.


class Canary:
    """An object that creates a folder when Python's unpickler loads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_object_whose_unpickling_runs_code_is_refused_anywhere(protocol: int, tmp_path: Path) -> None:
    evil = pickle.dumps(Canary(tmp_path / "canary"), protocol)
    pickle.loads(evil)
    assert (tmp_path / "canary").is_dir()  # unpickling it does run code
    (tmp_path / "canary").rmdir()
    pickles = [pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2), pickle.dumps({"little_endian": True}, 2),
               state(a=tensor(storage(), (6,), (1,))), pickle.dumps(["0"], 2)]  # fmt: skip
    torch_file.parse(b"".join(pickles) + SIX, "some.pth")
    for place in range(len(pickles)):
        content = b"".join([*pickles[:place], evil, *pickles[place + 1 :]]) + SIX
        assert "which no weights file needs" in refusal(content)
    assert not (tmp_path / "canary").exists()


CALLS = {
    "os.system": "cos\nsystem\n({path}tR",
    "builtins.eval": "cbuiltins\neval\n({path}tR",
    "getattr of an allowed name": "cbuiltins\ngetattr\n(ccollections\nOrderedDict\n{path}tR",
    "a dotted name": "ccollections\nOrderedDict.fromkeys\n({path}tR",
    "another name of an allowed module": "ctorch._utils\n_rebuild_parameter\n({path}tR",
    "torch.load": "ctorch\nload\n({path}tR",
    "a call of the result of a call": "ccollections\nOrderedDict\n)R({path}tR",
    "a call within arguments": "ccollections\nOrderedDict\n(cos\nmkdir\n({path}tRtR",
    "arguments for an OrderedDict": "ccollections\nOrderedDict\n({path}tR",
    "a call of a storage type": "ctorch\nFloatStorage\n({path}tR",
    "INST": "({path}ios\nmkdir\n",
    "OBJ": "(cos\nmkdir\n{path}o",
    "NEWOBJ": "ccollections\nOrderedDict\n)\x81",
    "STACK_GLOBAL": "{os}{mkdir}\x93({path}tR",
    "a state for a function": "ctorch._utils\n_rebuild_tensor_v2\n}b",
    "an extension": "\x82\x01({path}tR",
    "a persistent id in text": "P0\n",
    "a persistent id of another type": "{path}Q",
}  # fmt: skip


@pytest.mark.parametrize("called", CALLS)
def test_a_call_is_refused(called: str, tmp_path: Path) -> None:
    words = {"path": str(tmp_path / "canary"), "os": "os", "mkdir": "mkdir"}
    body = CALLS[called].encode("latin-1")
    for name, word in words.items():
        body = body.replace(f"{{{name}}}".encode(), text(word))
    refusal(with_pickle(PROTO + body + STOP))
    refusal(with_pickle(state(a=body)))
    refusal(with_pickle(PROTO + ORDERED_DICT + body + b"b" + STOP))
    assert list(tmp_path.iterdir()) == []


# Sizes.


@pytest.mark.parametrize(
    "data",
    [
        tensor(storage(count=2**39), (2**39,), (1,)),
        tensor(storage(count=7), (7,), (1,)),  # more than the file has
        tensor(storage(count=5), (5,), (1,)),  # less
        tensor(storage(count=-6), (6,), (1,)),
        tensor(storage(kind="DoubleStorage"), (6,), (1,)),  # twice the bytes
        tensor(storage(kind="UntypedStorage"), (6,), (1,)),
        tensor(storage(view=b"("), (6,), (1,)),
        tensor(storage("1"), (6,), (1,)),  # a storage that the file doesn't list
        tensor(storage(), (-1,), (1,)),
        tensor(storage(), (7,), (1,)),
        tensor(storage(), (2,), (6,)),
        tensor(storage(), (2,), (-1,), offset=1),
        tensor(storage(), (6,), (1,), offset=1),
        tensor(storage(), (1,), (1,), offset=6),
        tensor(storage(), (1,), (1,), offset=-1),
        tensor(storage(), (2**30, 2**30), (0, 0)),  # one number, repeated to exabytes
        tensor(storage(), (2, 3), (1,)),
        tensor(storage(), (0,), (1,)),
        tensor(storage(), (1,) * 65, (1,) * 65),
        tensor(number(6), (6,), (1,)),
        number(6),
        b"}",
        b"N",
    ],
)
def test_a_tensor_that_is_not_within_its_storage_is_refused(data: bytes) -> None:
    refusal(with_tensor(data))


A = tensor(storage(), (6,), (1,))


@pytest.mark.parametrize(
    "content",
    [
        with_tensor(A) + b"\x00",  # bytes after the last storage
        with_tensor(tensor(storage(view=b")"), (6,), (1,))),  # the storage is a view of another
        HEAD + state(a=A) + pickle.dumps(["0", "0"], 2) + SIX + SIX,  # a storage twice
        with_pickle(PROTO + b"ccollections\nOrderedDict\n" + row((1,)) + b"R" + text("a") + A + b"s" + STOP),
        with_pickle(PROTO + ORDERED_DICT + text("a") + A + b"s" + text("b") + A + b"}bs" + STOP),  # a tensor's state
        with_pickle(PROTO + ORDERED_DICT + text("a") + b"(" + A + b"s" + STOP),  # values from before the mark
    ],
)
def test_a_file_that_differs_from_a_valid_one_in_one_detail_is_refused(content: bytes) -> None:
    assert list(torch_file.parse(with_tensor(A), "some.pth")) == ["a"]
    refusal(content)


def test_two_descriptions_of_one_storage_are_refused() -> None:
    other = tensor(storage(kind="IntStorage"), (6,), (1,))
    assert "differently" in refusal(with_pickle(state(a=tensor(storage(), (6,), (1,)), b=other)))


@pytest.mark.parametrize("keys", [[], ["0", "0"], ["0", "1"], [0], "0", {"0": 1}, None])
def test_a_list_of_storages_that_does_not_fit_is_refused(keys: Any) -> None:
    refusal(HEAD + state(a=tensor(storage(), (6,), (1,))) + pickle.dumps(keys, 2) + SIX)


@pytest.mark.parametrize(
    "body",
    [b"X\xff\xff\xff\x7f", b"\x8b\xff\xff\xff\x7f", b"\x8e" + b"\xff" * 7 + b"\x7f", b"Nr\xff\xff\xff\xff",
     b"\x95" + b"\xff" * 7 + b"\x7f", b"T\xff\xff\xff\x7f", b"\x8a\xff" + b"\x7f" * 255, b"I" + b"9" * 5000 + b"\n"],
)  # fmt: skip
def test_a_size_larger_than_the_file_allocates_no_memory(body: bytes) -> None:
    tracemalloc.start()
    try:
        refusal(with_pickle(PROTO + body + STOP))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_deeply_nested_and_shared_values_are_refused() -> None:
    refusal(with_pickle(PROTO + b")" + b"\x85" * 200_000 + STOP))  # a tuple in a tuple in …
    refusal(with_pickle(PROTO + b")" + b"q\x00h\x00\x86" * 50_000 + STOP))  # nested pairs of 2**50,000 elements
    refusal(with_pickle(PROTO + b"]q\x00h\x00a" + STOP))  # a list that contains itself


def test_a_file_cut_short_anywhere_is_refused() -> None:
    for length in range(len(ONE)):
        refusal(ONE[:length])


def test_an_altered_byte_gives_tensors_or_a_one_line_error() -> None:
    for place in range(len(ONE) - len(SIX) + 8):
        for value in (0, 1, 46, 82, 113, 127, 128, 255, ONE[place] ^ 1, ONE[place] ^ 64):
            content = ONE[:place] + bytes([value]) + ONE[place + 1 :]
            try:
                found = torch_file.parse(content, "some.pth")
            except UserError as error:
                assert "\n" not in str(error)
            else:
                assert all(isinstance(array, np.ndarray) and array.size <= 6 for array in found.values())
