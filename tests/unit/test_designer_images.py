"""Image directories: from files and archives, kept in folders, split.

Microsoft's component reference says what the components take and give (convert-to-image-directory,
split-image-directory); what an image's bytes mean, Pillow says.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from designer_images import bright_and_dark, in_format, picture, png, write
from designer_modules import ModuleError
from designer_modules.images import decoding
from designer_modules.images.directory import ImageDirectory, LabeledImage
from designer_modules.images.files import convert_to_image_directory, split_image_directory
from PIL import Image

FILES = {"cat/1.png": png(10), "cat/2.JPG": in_format("JPEG", picture(20)), "dog/1.png": png(30)}
LABELED = [("cat/1.png", "cat"), ("cat/2.JPG", "cat"), ("dog/1.png", "dog")]


def _labeled(images: ImageDirectory) -> list[tuple[str, str | None]]:
    return [(image.id, image.category) for image in images.images]


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _tar(mode: str) -> Callable[[dict[str, bytes]], bytes]:
    def made(files: dict[str, bytes]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return buffer.getvalue()

    return made


def test_the_folder_that_a_file_is_in_names_its_category(tmp_path: Path) -> None:
    write(tmp_path, FILES | {"notes.txt": b"-", "cat/.hidden.png": b"-", "cat/Thumbs.db": b"-"})
    assert _labeled(convert_to_image_directory(tmp_path)) == LABELED


def test_for_inference_files_need_no_category(tmp_path: Path) -> None:
    images = convert_to_image_directory(write(tmp_path, {"1.png": png()}))
    assert _labeled(images) == [("1.png", None)]
    assert images.categories == []


@pytest.mark.parametrize(
    ("name", "make"),
    [("a.zip", _zip), ("a.tar", _tar("w")), ("a.tar.gz", _tar("w:gz")), ("a.tar.bz2", _tar("w:bz2"))],
)
def test_an_archive_gives_what_its_folders_give(
    tmp_path: Path, name: str, make: Callable[[dict[str, bytes]], bytes]
) -> None:
    images = convert_to_image_directory(write(tmp_path, {name: make(FILES)}))
    assert _labeled(images) == LABELED
    assert [image.content() for image in images.images] == list(FILES.values())


def test_of_several_archives_none_is_guessed(tmp_path: Path) -> None:
    write(tmp_path, {"a.zip": _zip(FILES), "b.zip": _zip(FILES)})
    with pytest.raises(ModuleError, match=r"several archives, a\.zip, b\.zip; give one"):
        convert_to_image_directory(tmp_path)


def test_files_come_before_an_archive_beside_them(tmp_path: Path) -> None:
    images = convert_to_image_directory(write(tmp_path, {"cat/1.png": png(), "old.zip": _zip(FILES)}))
    assert _labeled(images) == [("cat/1.png", "cat")]


@pytest.mark.parametrize("name", ["../1.png", "/1.png", "cat/../../1.png", "cat\\..\\1.png"])
@pytest.mark.parametrize("make", [_zip, _tar("w")])
def test_a_member_that_leads_out_of_its_archive_is_refused(
    tmp_path: Path, name: str, make: Callable[[dict[str, bytes]], bytes]
) -> None:
    with pytest.raises(ModuleError, match=re.escape(repr(name))):
        convert_to_image_directory(write(tmp_path, {"a.zip": make({name: png()})}))


def test_links_in_an_archive_are_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("cat/1.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    with pytest.raises(ModuleError, match="There is no image"):
        convert_to_image_directory(tmp_path)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("designer_modules.images.files.MAX_UNPACKED", 3 * len(png()) // 2)
    with pytest.raises(ModuleError, match=r"a\.zip unpacks to more than"):
        convert_to_image_directory(write(tmp_path, {"a.zip": _zip({"1.png": png(), "2.png": png()})}))


@pytest.mark.parametrize("content", [b"PK\x03\x04 broken", b"", _zip(FILES)[:-40]])
def test_a_broken_archive_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModuleError, match=r"Error 0102: a\.zip is no archive that can be read"):
        convert_to_image_directory(write(tmp_path, {"a.zip": content}))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"GIF89a", "The content is no image"),
        (b"", "The content is no image"),
        (png()[:60], "The image is broken"),
        (in_format("TIFF", Image.new("I;16", (2, 2))), "mode 'I;16'; wanted are 8 bits a channel"),
    ],
)
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(ModuleError, match=f"Image 'cat/3.png': .*{reason}"):
        convert_to_image_directory(write(tmp_path, FILES | {"cat/3.png": content}))


def test_no_image_at_all_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(ModuleError, match=r"Error 0018: There is no image; wanted are files .*\.png.*port 'input_data"):
        convert_to_image_directory(write(tmp_path, {"notes.txt": b"-"}))


def test_an_image_larger_than_the_limit_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_PIXELS", 255)
    with pytest.raises(ModuleError, match="Error 0127: The image has 16 x 16 pixels; at most 255 pixels"):
        decoding.decode(png())


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    small = bytearray(png())
    small[16:24] = (60_000).to_bytes(4, "big") * 2  # width and height of the PNG's header; its checksum is left wrong
    with pytest.raises(ModuleError):
        decoding.decode(bytes(small))
    bomb = in_format("PNG", Image.new("1", (20_000, 10_000)))  # 25 kB, 200 million pixels
    with pytest.raises(ModuleError, match="Error 0127"):
        decoding.decode(bomb)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_images_of_every_usual_mode_become_rgb_as_pillow_makes_it(mode: str) -> None:
    image = picture(77).convert(mode)
    assert decoding.decode(in_format("PNG", image)).tobytes() == image.convert("RGB").tobytes()


def test_a_directory_comes_back_from_its_folder(tmp_path: Path) -> None:
    convert_to_image_directory(write(tmp_path / "in", FILES)).save(tmp_path / "out")
    loaded = ImageDirectory.load(tmp_path / "out")
    assert _labeled(loaded) == LABELED
    assert [image.content() for image in loaded.images] == list(FILES.values())
    schema = json.loads((tmp_path / "out/schema.json").read_text())
    assert [(one["name"], one["type"]) for one in schema["columns"]] == [
        ("image", "Image"),
        ("id", "String"),
        ("category", "String"),
    ]


def test_transformed_images_are_kept_without_loss(tmp_path: Path) -> None:
    images = bright_and_dark(4)
    images.save(tmp_path)
    loaded = ImageDirectory.load(tmp_path)
    assert [one.picture().tobytes() for one in loaded.images] == [one.picture().tobytes() for one in images.images]


@pytest.mark.parametrize("file", ["../secret.png", "/etc/hostname", "images/../../secret.png"])
def test_a_list_that_leads_out_of_its_folder_is_refused(tmp_path: Path, file: str) -> None:
    write(tmp_path, {"secret.png": png()})
    (tmp_path / "images").mkdir()
    line = json.dumps({"file": file, "id": "1", "category": None})
    write(tmp_path / "images", {"images.lst": line.encode()})
    with pytest.raises(ModuleError, match="a file outside of it"):
        ImageDirectory.load(tmp_path / "images")


def test_another_folder_is_no_image_directory(tmp_path: Path) -> None:
    with pytest.raises(ModuleError, match="connect Convert to Image Directory"):
        ImageDirectory.load(tmp_path)


@pytest.mark.parametrize(("fraction", "first"), [(0.9, 9), (0.75, 7), (0, 0), (1, 10), (0.29, 2)])
def test_a_split_gives_the_fraction_rounded_down_and_all_others(fraction: float, first: int) -> None:
    images = bright_and_dark(10)
    one, two = split_image_directory(images, fraction)
    assert (len(one), len(two)) == (first, 10 - first)
    assert sorted(_labeled(one) + _labeled(two)) == sorted(_labeled(images))


def test_a_fraction_is_not_rounded_as_a_binary_number() -> None:
    images = ImageDirectory(tuple(LabeledImage(str(n), picture(n)) for n in range(100)))
    assert len(split_image_directory(images, 0.29)[0]) == 29  # int(0.29 * 100) is 28


def test_a_split_is_the_same_each_time_and_not_the_first_ones() -> None:
    images = bright_and_dark(40)
    first = _labeled(split_image_directory(images, 0.5)[0])
    assert first == _labeled(split_image_directory(images, 0.5)[0])
    assert first != _labeled(images)[:20]


def test_a_fraction_over_one_is_refused() -> None:
    with pytest.raises(ModuleError, match=r"is 1\.5; wanted is 0 to 1"):
        split_image_directory(bright_and_dark(2), 1.5)
