"""LaTeX sources: what a reader of the printed page reads, with the formulas as they were written."""

import time
from pathlib import Path

import pytest

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract import READERS
from mlx_tutor.extract.latex import read_latex, write_markdown
from mlx_tutor.records import Block

HEAD = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\newtheorem{satz}{Satz}
\newcommand{\R}{\mathbb{R}}
\title{On \emph{rings}}
\begin{document}
\maketitle
"""


def read(tmp_path: Path, text: str) -> list[Block]:
    (tmp_path / "a.tex").write_text(f"{HEAD}{text}\n\\end{{document}}\nnot printed\n")
    return [block for section in READERS[".tex"](tmp_path / "a.tex")[1] for block in section.blocks]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        # Formulas stay, with the file's own commands; a line that begins with a sign begins no list.
        ("Let $a * b_1 * c$ in $\\R$ be\n- or not.", ["Let $a * b_1 * c$ in $\\R$ be - or not."]),
        ("So\n\\[ x\n- y\n+ z \\]\nholds.", ["So $$ x - y + z $$ holds."]),
        ("\\begin{align*}\na &= b \\\\[2mm]\nc &= d % twice\n\\end{align*}",
         [r"\begin{align*} a &= b \\[2mm] c &= d \end{align*}"]),
        ("It costs \\$3 and 5\\,\\% of \\$9.", ["It costs $3 and 5 % of $9."]),
        ("One line\\\\[2mm] and another \\\\ line.", ["One line and another line."]),
        # Signs and letters.
        ("G\\\"odel, Erd\\H{o}s, \\v{C}ech, Stra\\ss e: ``a--b'' --- or~c.",
         ["Gödel, Erdős, Čech, Straße: “a–b” — or c."]),
        # Commands with and without text.
        ("An \\emph{ideal} is \\textbf{closed}~\\cite{x}, see \\ref{y}.\\label{z}", ["An ideal is **closed**, see."]),
        ("Use \\verb|a_b| or \\texttt{c\\_d}.\\footnote{Both work.}", ["Use `a_b` or `c_d`. (Both work.)"]),
        # Theorems, also by a name of the file's own, and of another file's.
        ("\\begin{satz}[Gauss]\nIt holds.\n\\end{satz}\n\\begin{proof} Clear. \\qed \\end{proof}",
         ["**Satz (Gauss).** It holds.", "**Proof.** Clear."]),
        ("\\begin{defi}[Ring] A ring is a set.\\end{defi}", ["**Ring.** A ring is a set."]),
        ("\\begin{definition}A \\emph{unit} has an \\textit{inverse}.\\end{definition} An \\emph{ideal}.",
         ["**Definition.** A **unit** has an **inverse**.", "An ideal."]),
        # Lists.
        ("\\begin{itemize}\n\\item one\n\\begin{enumerate}\n\\item $u$\n\\item two\n\\end{enumerate}\n\\item three\n"
         "\\end{itemize}\nText.", ["- one\n  1. $u$\n  2. two\n- three", "Text."]),
        ("\\begin{description}\\item[unit] has an inverse\\end{description}", ["- **unit** has an inverse"]),
        # Captions without their pictures.
        ("\\begin{figure}\\includegraphics{a}\\caption[short]{A \\emph{lattice}.}\\end{figure}", ["A lattice."]),
        ("A.\n\\begin{tikzpicture}\\draw (0,0);\\end{tikzpicture}\nB.", ["A.", "B."]),
        ("% hidden\nSeen.% hidden too", ["Seen."]),
    ],
)  # fmt: skip
def test_text_is_what_is_printed(tmp_path: Path, text: str, right: list[str]) -> None:
    assert [block.text for block in read(tmp_path, text)] == right


def test_sections_code_tables_and_exercises(tmp_path: Path) -> None:
    path = tmp_path / "a.tex"
    path.write_text(
        HEAD
        + "\\section{Rings}\\label{s}\nA ring.\n\\subsection*{Units}\n\\begin{lstlisting}[language=C]\nint x; % 2\n\n"
        "y();\n\\end{lstlisting}\n\\begin{tabular}{|l|r|}\\hline\nName & Order\\\\\\hline\n$\\R$ & 5\\,\\% \\\\\n"
        "\\end{tabular}\n\\section{Tasks}\n\\begin{exercise} Show $1=1$.\\end{exercise}\n\\begin{solution} It is."
        "\\end{solution}\n\\end{document}"
    )
    title, sections = read_latex(path)
    assert title == "On rings"
    assert [section.heading for section in sections] == [("Rings",), ("Rings", "Units"), ("Tasks",)]
    assert [
        (block.kind, block.text, block.language, block.role) for block in sections[1].blocks + sections[2].blocks
    ] == [
        ("code", "int x; % 2\n\ny();", "c", None),
        ("table", "| Name | Order |\n|---|---|\n| $\\R$ | 5 % |", None, None),
        ("text", "Show $1=1$.", None, "exercise 1"),
        ("text", "It is.", None, "solution 1"),
    ]


def test_a_head_without_a_document_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "head.tex"
    path.write_text("\\usepackage{x}\n\\newtheorem{t}{T}\n\\lstset{a=b}\nleft over\n")
    with pytest.raises(CorpusError, match="no text"):
        read_latex(path)


@pytest.mark.parametrize(
    "piece", [r"\[ a ", "$ a ", r"\emph{a ", r"\begin{itemize} \item x ", r"\\[2mm] ", r"\begin{align} "]
)
def test_what_has_no_end_takes_no_time(piece: str) -> None:
    begun = time.process_time()
    write_markdown(piece * 5000)
    assert time.process_time() - begun < 1
