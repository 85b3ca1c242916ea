"""File -> Document: one reader for each format."""

from collections.abc import Callable
from pathlib import Path

from mlx_tutor.extract.latex import read_latex
from mlx_tutor.extract.markdown import read_markdown
from mlx_tutor.extract.notebook import read_notebook
from mlx_tutor.extract.office import read_docx, read_epub, read_pptx
from mlx_tutor.extract.pdf import read_pdf
from mlx_tutor.extract.text import read_text
from mlx_tutor.extract.webpage import read_html
from mlx_tutor.records import Section

# A reader takes a file and returns its title and sections. A file it cannot read is a CorpusError whose text is the
# reason alone, since the caller names the file.
READERS: dict[str, Callable[[Path], tuple[str, tuple[Section, ...]]]] = {
    ".pdf": read_pdf,
    ".ipynb": read_notebook,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".qmd": read_markdown,
    ".rmd": read_markdown,
    ".mdx": read_markdown,
    ".mdown": read_markdown,
    ".mkd": read_markdown,
    ".html": read_html,
    ".htm": read_html,
    ".xhtml": read_html,
    ".docx": read_docx,
    ".pptx": read_pptx,
    ".epub": read_epub,
    ".tex": read_latex,
    ".ltx": read_latex,
    ".txt": read_text,
}
