"""The texts of a question as cards and question banks show them."""

from html import escape

from jinja2 import Environment
from markupsafe import Markup

from mlx_tutor.study.chat.markdown import DOLLARS, split_code
from mlx_tutor.study.quiz.questions import StudyQuestion

FENCES = ("```", "~~~")
# Parts of a field: text, a piece of code in a line, or a block of it. Quotes stay: Anki searches what is stored.
FIELD = Environment(autoescape=True, finalize=lambda text: Markup(escape(text, quote=False))).from_string("""
{%- for kind, text in parts -%}
{%- if kind == "block" %}<pre>{{ text }}</pre>{% elif kind == "code" %}<code>{{ text }}</code>{% else -%}
{%- for line in text.split("\n") %}{% if not loop.first %}<br>{% endif %}{{ line }}{% endfor -%}
{%- endif -%}
{%- endfor -%}
""")


def write_answer(question: StudyQuestion) -> str:
    """The answer; where several sources give one, each with its own place."""
    answers = [question.references[0].answer]
    answers += [f"{other.answer} ({other.place})" for other in question.references[1:]]
    return "\n\n".join(answers)


def write_field(text: str) -> str:
    """Text as HTML for Anki and Moodle: tags shown and not run, code set off, mathematics for MathJax."""
    parts = []
    for i, part in enumerate(split_code(text.replace("**", ""))):
        if i % 2 and part.lstrip().startswith(FENCES):
            lines = part.strip().split("\n")
            parts.append(("block", "\n".join(lines[1:-1] if lines[-1].strip().startswith(FENCES) else lines[1:])))
        elif i % 2:
            parts.append(("code", part.strip("`")))
        else:
            parts.append(("text", DOLLARS.sub(r"\\(\1\\)", part.strip("\n"))))
    return FIELD.render(parts=parts)
