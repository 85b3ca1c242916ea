"""Collecting headings and blocks, in reading order, into sections."""

from dataclasses import dataclass, field, replace

from mlx_tutor.files import mend_surrogates
from mlx_tutor.records import Block, Section


@dataclass(frozen=True, slots=True)
class PictureLink:
    """A picture that a file links to: its address as written, and its caption, which may be empty.

    It stands below the first `blocks` blocks of the section with this number, under the heading `heading`: a section
    without text is none.
    """

    address: str
    caption: str
    section: int
    blocks: int
    heading: str


@dataclass(slots=True)
class SectionBuilder:
    """Takes headings and blocks; `finish` gives the sections. Text before the first heading goes under the title."""

    sections: list[Section] = field(default_factory=list)
    path: list[tuple[int, str]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    # How many exercises the file has marked so far.
    exercises: int = 0
    pictures: list[PictureLink] = field(default_factory=list)
    # Pictures of the paragraph, list or table that is being read.
    open_pictures: list[tuple[str, str]] = field(default_factory=list)

    def add_heading(self, level: int, text: str) -> None:
        """Begin a section; `level` counts from 1, and ends all headings of this level or deeper."""
        self._close()
        self.path = [(depth, title) for depth, title in self.path if depth < level] + [(level, mend_surrogates(text))]

    def add_block(self, block: Block) -> None:
        """Add a block to the open section."""
        if block.text.strip():
            self.blocks.append(replace(block, text=mend_surrogates(block.text)))

    def add_picture(self, address: str, caption: str) -> None:
        """Note a picture, which stands below the text that is being read."""
        self.open_pictures.append((mend_surrogates(address), " ".join(mend_surrogates(caption).split())))

    def place_pictures(self) -> None:
        """Put the pictures that were noted below the blocks so far."""
        heading = self.path[-1][1] if self.path else ""
        place = (len(self.sections), len(self.blocks), heading)
        self.pictures += [PictureLink(address, caption, *place) for address, caption in self.open_pictures]
        self.open_pictures = []

    def _close(self) -> None:
        if self.blocks:
            self.sections.append(Section(tuple(title for _, title in self.path), tuple(self.blocks)))
        self.blocks = []

    def finish(self, title: str) -> tuple[Section, ...]:
        """All sections that have text; those without a heading get the title."""
        self._close()
        return tuple(Section(section.heading or (mend_surrogates(title),), section.blocks) for section in self.sections)

    def find_title(self, default: str) -> str:
        """The first heading, or `default`."""
        headings = [section.heading for section in self.sections if section.heading]
        return headings[0][0] if headings else (self.path[0][1] if self.path else default)
