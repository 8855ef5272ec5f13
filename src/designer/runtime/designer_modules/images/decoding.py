"""An image, from the bytes of a file or from a data URI. What comes from outside is never trusted."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ..errors import ModuleError

# By the extensions that Microsoft's Convert to Image Directory takes.
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
# With 8 bits a channel. Pillow would turn 16 bits (I;16) into white, without a word.
MODES = ("1", "CMYK", "L", "LA", "P", "PA", "RGB", "RGBA", "YCbCr")
MAX_PIXELS = 89_478_485  # Pillow's own limit: 256 MiB of colours
INVALID, TOO_LARGE, NO_TEXT = 49, 127, 17  # the Designer's errors: no such file, image exceeds limit, type of column
PREFIX = "data:image/"


def decode(content: Path | bytes) -> Image.Image:
    """Return a file's image as RGB; of several in it, the first.

    Raises:
        ModuleError: it is no image, is broken, or is larger than ``MAX_PIXELS``.
    """
    with _opened(content) as picture:
        return picture.convert("RGB")


def size(content: Path | bytes) -> tuple[int, int]:
    """Return the width and height that the first bytes of a file say; its pixels are not read.

    Raises:
        ModuleError: as ``decode`` does.
    """
    with _opened(content) as picture:
        return picture.size


@contextmanager
def _opened(content: Path | bytes) -> Iterator[Image.Image]:
    try:
        with Image.open(content if isinstance(content, Path) else io.BytesIO(content), formats=FORMATS) as picture:
            _check(picture)
            yield picture
    except ModuleError:
        raise
    except Image.DecompressionBombError:
        raise ModuleError(TOO_LARGE, f"The image has more than {MAX_PIXELS} pixels.") from None
    except UnidentifiedImageError:
        raise ModuleError(INVALID, f"The content is no image; wanted is one of {', '.join(FORMATS)}.") from None
    except Exception as error:  # Pillow's decoders tell of a broken file by errors of many types
        raise ModuleError(INVALID, f"The image is broken: {error}") from error


def _check(picture: Image.Image) -> None:
    pixels = picture.width * picture.height
    if pixels > MAX_PIXELS:
        size = f"{picture.width} x {picture.height} pixels"
        raise ModuleError(TOO_LARGE, f"The image has {size}; at most {MAX_PIXELS} pixels can be read.")
    if picture.mode not in MODES:
        raise ModuleError(
            INVALID, f"The image has Pillow's mode {picture.mode!r}; wanted are 8 bits a channel: {', '.join(MODES)}."
        )


def from_data_uri(text: object) -> Image.Image:
    """Return the image of a data URI, e.g. ``data:image/png;base64,iVBORw0...``, or of its base64 part alone.

    The Designer's own serving engine (azureml-designer-serving 0.0.19, ``create_imd_from_dict``) takes both.

    Raises:
        ModuleError: it is none.
    """
    if not isinstance(text, str) or not text.strip():
        raise ModuleError(NO_TEXT, f"An image is wanted, as text {PREFIX}png;base64,...; this is {_shown(text)}.")
    header, comma, encoded = text.partition(",") if text.startswith("data:") else ("", "", text)
    if header and not (header.startswith(PREFIX) and header.endswith(";base64") and comma):
        raise ModuleError(NO_TEXT, f"A data URI of an image begins {PREFIX}png;base64, and this with {header[:40]!r}.")
    try:
        return decode(base64.b64decode("".join(encoded.split()), validate=True))
    except binascii.Error as error:
        reason = f"The image is no valid base64: {str(error).rstrip('.')}. Wanted is {PREFIX}png;base64,..."
        raise ModuleError(NO_TEXT, reason) from None


def _shown(value: object) -> str:
    return "empty" if value is None or isinstance(value, str) else f"of type {type(value).__name__}"


def to_data_uri(picture: Image.Image) -> str:
    """Return an image as a data URI of a PNG file."""
    return f"{PREFIX}png;base64,{base64.b64encode(to_png(picture)).decode()}"


def to_png(picture: Image.Image) -> bytes:
    """Return an image as a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
