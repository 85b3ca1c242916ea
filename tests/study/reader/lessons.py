"""A course with a PDF, a notebook with pictures and a Markdown lesson, for tests of the reader."""

import base64
import io
import json
from pathlib import Path

from mlx_tutor.extract.extract import extract_course
from mlx_tutor.workspace import Course

LESSON = r"""# Springs

## Hooke's law

The **restoring force** of a spring grows with its stretch: $F = -k x$.

$$E = \frac{1}{2} k x^2$$

<script>document.title = 'run'</script>
<img src="x" onerror="document.title = 'run'">

| spring | `k` |
|---|---|
| soft | $0.5$ |

```python
force = -k * x  # <b>
```

![A spring, $F = -k x$](figures/spring.png)

![From elsewhere](https://example.org/spring.png)

![Left out](../secret.png)

1. Hang the weight.
   - Wait until it rests.
2. Read the scale.
"""
BULB = "A bulb glows because its filament is heated by the current."
WIRE = "The resistance of a wire grows with its length and falls with its width."
NAME = "week 1/über & #1.pdf"


def make_picture(kind: str, size: tuple[int, int] = (40, 20)) -> bytes:
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", size, "navy").save(data, kind)
    return data.getvalue()


def write_pdf(path: Path) -> None:
    """Two pages of text with a heading each."""
    from reportlab.pdfgen.canvas import Canvas

    path.parent.mkdir(parents=True, exist_ok=True)
    canvas = Canvas(str(path), pagesize=(400, 300))
    for heading, sentence in (("Light", BULB), ("Wires", WIRE)):
        canvas.setFont("Helvetica-Bold", 18)
        canvas.drawString(40, 250, heading)
        canvas.setFont("Helvetica", 10)
        words = sentence.split()
        canvas.drawString(40, 220, " ".join(words[:7]))
        canvas.drawString(40, 206, " ".join(words[7:]))
        canvas.showPage()
    canvas.save()


def write_lab(path: Path) -> None:
    """A notebook with an attached picture, a plot in two kinds, and what only says that it is a picture."""
    png, jpeg = (base64.b64encode(make_picture(kind)).decode() for kind in ("PNG", "JPEG"))
    lie = base64.b64encode(b"<svg onload='document.title=1'/>").decode()

    def show(**data: str) -> dict[str, object]:
        kinds = {f"image/{kind.replace('svg', 'svg+xml')}": text for kind, text in data.items()}
        return {"output_type": "display_data", "metadata": {}, "data": kinds}

    text = "# Lab\n\nThe scale is read from below.\n\n![s](attachment:s.png)"
    attached = {"attachments": {"s.png": {"image/png": png}}}
    printed = {"output_type": "stream", "name": "stdout", "text": "<i>\n"}
    drawn = [printed, show(jpeg=jpeg), show(png=lie), show(svg="<svg/>")]
    errors = "## Errors\n\nAn error of reading is half a line of the scale."
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": text, **attached},
        {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": "print('<i>')\nplot()", "outputs": drawn},
        {"cell_type": "markdown", "metadata": {}, "source": errors},
    ]
    notebook = {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 4}
    path.write_text(json.dumps(notebook))


def write_lessons(folder: Path) -> Course:
    """The course, extracted."""
    course = Course(folder, "demo")
    write_pdf(course.sources / NAME)
    write_lab(course.sources / "lab.ipynb")
    (course.sources / "springs.md").write_text(LESSON)
    (course.sources / "figures").mkdir()
    (course.sources / "figures" / "spring.png").write_bytes(make_picture("PNG"))
    extract_course(course)
    return course
