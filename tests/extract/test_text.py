"""Plain text, and which bytes are text at all: one decoding for text, Markdown and pages."""

from pathlib import Path

import pytest

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract import READERS
from mlx_tutor.extract.text import read_text

TEXT = "Die Länge – „genau“ gemessen – ist größer als die Breite der Fläche."
RUSSIAN = "Масса тела не зависит от места, а вес зависит."


def read(path: Path) -> list[str]:
    return [block.text for section in READERS[path.suffix](path)[1] for block in section.blocks]


def test_text_and_encodings(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    for data in ("\ufeffOne\nline.\n\nTwo.".encode(), "One\nline.\n\nTwo.".encode("utf-16")):
        path.write_bytes(data)
        _, (section,) = read_text(path)
        assert [block.text for block in section.blocks] == ["One line.", "Two."]
    for data, reason in ((b"caf\x81", "not UTF-8"), (b" \n", "empty"), (b"a\0b", "not text")):
        path.write_bytes(data)
        with pytest.raises(CorpusError, match=f"^{reason}"):
            read_text(path)


@pytest.mark.parametrize("suffix", [".md", ".txt", ".html"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_western_text_is_read_in_any_encoding(tmp_path: Path, suffix: str, encoding: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(TEXT.replace(" ist", "\r\nist").encode(encoding))
    assert [" ".join(text.split()) for text in read(path)] == [TEXT]


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "utf-16-le", "mac_roman", "cp437"])
def test_what_would_become_another_text_is_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.md"
    path.write_bytes((RUSSIAN if encoding in ("cp1251", "koi8-r") else "größer, länger").encode(encoding))
    with pytest.raises(CorpusError, match=r"^not UTF-8 text|zero bytes"):
        read(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    for data in (bytes(range(256)) * 9, b"\x89PNG\r\n\x1a\n" + bytes(range(1, 255)), b"Text\0 and more"):
        path.write_bytes(data)
        with pytest.raises(CorpusError):
            read(path)
