"""Starts a learner again, by what they choose: what they had is moved into ``~/set-aside``, and never deleted."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path

from workshop.copying.bringing import WORKBOOK, Bring, copy_in, obstacle, second_names, staging
from workshop.copying.manifest import Manifest
from workshop.copying.news import News
from workshop.copying.trees import NOTEBOOKS, Newest, TreeError, blocked_at, look

SET_ASIDE = "set-aside"
SERVICE = ".azureml-local"  # the state of the learner's Azure ML
LESSON = "lesson:"
ROOM = "It still takes up room on your disk: delete what you do not need."


def reset(newest: Newest, home: Path, what: str) -> list[str]:
    """Start again and bring the newest; see :func:`workshop.copies.reset`.

    Raises:
        TreeError: there is nothing by that name to reset.
    """
    lesson = what.removeprefix(LESSON) if what.startswith(LESSON) else ""
    if lesson not in newest if lesson else what not in WHOLE:
        raise TreeError(f'There is no "{what}" to reset. There are {", ".join(WHOLE)}, and {LESSON}PATH of a notebook.')
    news = News()
    try:
        if lesson:
            again = _reset_lesson(newest, home, lesson, news)
        else:
            again = frozenset()
            sentence, entries = WHOLE[what]
            _tell(news, sentence, _move(home, entries(home), what))
        root = copy_in(home, news)
        with staging(root) as staged:
            Bring(newest, root, staged, news, untold=again).run()
    except OSError as error:
        news.say(obstacle(error))
    return news.sentences()


def _all(home: Path) -> list[Path]:
    """Return all that is the learner's; a disk of their own has a folder of root's as well."""
    return [
        entry for entry in sorted(home.iterdir()) if entry.name != SET_ASIDE and entry.lstat().st_uid == os.geteuid()
    ]


WHOLE: Mapping[str, tuple[str, Callable[[Path], list[Path]]]] = {
    "notebooks": ("Your notebooks are as the trainer made them.", lambda home: [home / WORKBOOK / NOTEBOOKS]),
    "service": ("Your Azure ML is empty, as on the first day.", lambda home: [home / SERVICE]),
    "everything": ("All is as on the first day.", _all),
}


def _reset_lesson(newest: Newest, home: Path, lesson: str, news: News) -> frozenset[str]:
    """Move aside what the learner has changed of a lesson's files, and all new versions that were laid beside them."""
    root = copy_in(home, news)
    manifest = Manifest.read(root)
    files = files_of(newest, lesson)
    beside = [path for path, entry in manifest.items() if entry.beside in files]
    changed = [
        path
        for path in files
        if look(root, path, frozenset({newest[path].content.size})).content != newest[path].content
    ]
    for path in chain(files, beside):  # or the next bring would take what has gone for deleted by the learner
        manifest.pop(path, None)
    with staging(root) as staged:
        manifest.write(root, staged)
    places = [root / (blocked_at(root, path) or path) for path in chain(changed, beside)]
    _tell(
        news, f"{lesson} is as the trainer made it, and so are the files that it uses.", _move(home, places, "lesson")
    )
    return frozenset(files)


def files_of(newest: Newest, lesson: str) -> list[str]:
    """Return a lesson's notebook and the files and folders beside it that its code names, as ``"score.py"`` or so."""
    part = lesson.rpartition("/")[0]
    cells = json.loads(newest[lesson].data)["cells"] if lesson.endswith(".ipynb") else []
    code = "".join(chain.from_iterable(cell["source"] for cell in cells if cell["cell_type"] == "code"))
    return [lesson, *(path for path in newest if path.startswith(f"{part}/") and _named(path[len(part) + 1 :], code))]


def _named(path: str, code: str) -> bool:
    return not path.endswith(".ipynb") and f'"{path.split("/")[0]}' in code


def _move(home: Path, places: Iterable[Path], what: str) -> Path | None:
    """Move what lies at these places into a new folder of ``set-aside``, which is returned; None where nothing does."""
    there = [place for place in dict.fromkeys(places) if os.path.lexists(place)]
    if not there:
        return None
    _make_writable(home)
    aside = _unused(home / SET_ASIDE / f"{time.strftime('%Y-%m-%d %Hh%M')} {what}")
    for place in there:
        target = aside / place.relative_to(home)
        target.parent.mkdir(parents=True, exist_ok=True)
        for folder in (place, place.parent):
            _make_writable(folder)
        place.rename(target)
    return aside


def _unused(place: Path) -> Path:
    return next(free for free in chain([place], second_names(place, "again")) if not os.path.lexists(free))


def _make_writable(place: Path) -> None:
    """Give its owner the right to move a folder, or out of it: they may have taken it away themselves."""
    mode = place.lstat().st_mode
    if stat.S_ISDIR(mode) and stat.S_IMODE(mode) & 0o700 != 0o700:
        place.chmod(stat.S_IMODE(mode) | 0o700)


def _tell(news: News, sentence: str, aside: Path | None) -> None:
    where = f" What you had is in {SET_ASIDE}/{aside.name}. {ROOM}" if aside else ""
    news.say(f"{sentence}{where}")
