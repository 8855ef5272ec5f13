"""Image files as people have them, in folders or in an archive, and how a directory of them is split."""

from __future__ import annotations

import random
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path, PurePosixPath

from ..errors import ModuleError
from .decoding import EXTENSIONS
from .directory import ImageDirectory, LabeledImage

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2")
MAX_UNPACKED = 2 * 2**30  # bytes of images in an archive; they are held in memory
INVALID_DATASET, INVALID_ARCHIVE, OUT_OF_RANGE = 18, 102, 8
SEED = 0  # one and the same split each time, as the component has no parameter for it


def convert_to_image_directory(input_dataset: Path) -> ImageDirectory:
    """Make an image directory of the files in a folder, or in the archive (.zip, .tar, .tar.gz, ...) that it holds.

    The folder that a file is in names its category; files beside the folders have none. Files that are no images by
    their extension, and hidden ones, are left out.

    Raises:
        ModuleError: there is no image, or one cannot be read.
    """
    found = _found(input_dataset)
    if not found:
        wanted = f"{', '.join(EXTENSIONS)}, in a folder for each category, or one archive of such"
        raise ModuleError(INVALID_DATASET, f"There is no image; wanted are files {wanted}.", port="input_dataset")
    for image in found:
        image.picture()
    result = ImageDirectory(found)
    print(f"{len(result)} images; categories: {', '.join(result.categories) or 'none'}")
    return result


def _found(folder: Path) -> tuple[LabeledImage, ...]:
    archives = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in ARCHIVES]
    found = tuple(_of_folder(folder))
    if found or not archives:
        return found
    if len(archives) > 1:
        names = ", ".join(path.name for path in archives)
        raise ModuleError(INVALID_DATASET, f"There are several archives, {names}; give one.", port="input_dataset")
    return tuple(_of_archive(archives[0]))


def _of_folder(folder: Path) -> Iterator[LabeledImage]:
    for path in sorted(folder.rglob("*")):
        name = PurePosixPath(path.relative_to(folder).as_posix())
        if _is_image(name) and path.is_file():
            yield LabeledImage(str(name), path, _category(name))


def _of_archive(path: Path) -> Iterator[LabeledImage]:
    unpacked = 0
    try:
        for name, size, read in _zipped(path) if zipfile.is_zipfile(path) else _tarred(path):
            _check_inside(path, name)
            if not _is_image(name):
                continue
            unpacked += size
            if unpacked > MAX_UNPACKED:
                raise ModuleError(INVALID_ARCHIVE, f"{path.name} unpacks to more than {MAX_UNPACKED} bytes of images.")
            yield LabeledImage(str(name), read(), _category(name))
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, OSError, EOFError, RuntimeError) as error:
        raise ModuleError(INVALID_ARCHIVE, f"{path.name} is no archive that can be read: {error}") from error


Member = tuple[PurePosixPath, int, Callable[[], bytes]]


def _zipped(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for member in sorted(archive.infolist(), key=lambda one: one.filename):
            if not member.is_dir():
                yield PurePosixPath(member.filename), member.file_size, partial(archive.read, member)


def _tarred(path: Path) -> Iterator[Member]:
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None  # links are left out
            if file:
                yield PurePosixPath(member.name), member.size, file.read


def _check_inside(path: Path, name: PurePosixPath) -> None:
    if name.is_absolute() or ".." in name.parts or "\\" in str(name):
        raise ModuleError(INVALID_ARCHIVE, f"{path.name} has a member whose name leads out of it: {str(name)!r}.")


def _is_image(name: PurePosixPath) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
    return name.suffix.lower() in EXTENSIONS and not hidden


def _category(name: PurePosixPath) -> str | None:
    return name.parent.name or None


def split_image_directory(
    input_image_directory: ImageDirectory, fraction_of_images_in_the_first_output: float = 0.9
) -> tuple[ImageDirectory, ImageDirectory]:
    """Divide images at random into two directories; each keeps their order. The split is the same each time.

    The first gets the fraction, rounded down (``split-image-directory`` in Microsoft's component reference).
    """
    fraction = fraction_of_images_in_the_first_output
    if not 0 <= fraction <= 1:
        raise ModuleError(OUT_OF_RANGE, f"fraction_of_images_in_the_first_output is {fraction}; wanted is 0 to 1.")
    images = input_image_directory.images
    first = int(Decimal(str(fraction)) * len(images))  # as a float, 0.29 of 100 would be 28
    chosen = set(random.Random(SEED).sample(range(len(images)), first))  # noqa: S311 - no secret
    return (
        ImageDirectory(tuple(image for n, image in enumerate(images) if n in chosen)),
        ImageDirectory(tuple(image for n, image in enumerate(images) if n not in chosen)),
    )
