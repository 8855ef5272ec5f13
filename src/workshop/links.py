"""What a trainer shows a room: the links, and the QR code of the first."""

from __future__ import annotations

import io

import segno

from workshop.folder import Folder, Settings, read_secret

LOOPBACK = "127.0.0.1"


def public_url(settings: Settings) -> str:
    """Return the address that browsers use, without a path."""
    host = settings.host or (f"[{settings.listen}]" if ":" in settings.listen else settings.listen)
    return f"{'http' if is_loopback(settings) else 'https'}://{host}:{settings.port}"


def is_loopback(settings: Settings) -> bool:
    """Say whether only this machine can reach the workshop; only then it goes without TLS."""
    return settings.listen in (LOOPBACK, "::1")


def join_link(folder: Folder, settings: Settings) -> str:
    """Return where learners join. Who has it may take a seat."""
    return f"{public_url(settings)}/hub/login?code={read_secret(folder.join_code)}"


def trainer_link(settings: Settings) -> str:
    """Return where the trainer logs in."""
    return f"{public_url(settings)}/hub/login?username=trainer&next=%2Fservices%2Fboard%2F"


def board_link(settings: Settings) -> str:
    """Return the trainer's board."""
    return f"{public_url(settings)}/services/board/"


def qr_for_terminal(link: str) -> str:
    """Return a QR code as characters."""
    out = io.StringIO()
    segno.make(link, error="m").terminal(out, compact=True)
    return out.getvalue()


def qr_as_svg(link: str) -> str:
    """Return a QR code as an SVG element to put into a page, dark on light whatever the page's colours."""
    code = segno.make(link, error="m")
    return code.svg_inline(
        border=4, omitsize=True, dark="#10243e", light="#ffffff", title="QR code of the link to join"
    )


def table(folder: Folder, settings: Settings) -> dict[str, str]:
    """Return what ``start`` and ``status`` print: a name and a link, or a file, in each line."""
    return {
        "Learners join at": join_link(folder, settings),
        "Trainer logs in at": trainer_link(settings),
        "Trainer's password in": str(folder.trainer_password),
        "Board": board_link(settings),
    }
