"""The report of a mock exam as Markdown: points, topics, and each question with both answers."""

from mlx_tutor.study.chat.ask import clean_text
from mlx_tutor.study.quiz.mock import MockExam, count_topic_points
from mlx_tutor.study.web.markup import write_plain_markdown, write_safe_markdown
from mlx_tutor.study.web.study_parts import VERDICTS, write_place


def write_points(points: float) -> str:
    """`2` or `2.5`."""
    return f"{points:g}"


def describe_exam(exam: MockExam) -> str:
    """`2026-03-01 09:30, exam.md: 12.5 of 20 points`, in local time."""
    begun = exam.begun.astimezone()
    return f"{begun:%Y-%m-%d %H:%M}, {clean_text(exam.title)}: {write_points(exam.reached)} of {exam.points} points"


def write_report(exam: MockExam) -> str:
    """An exam that was handed in; what was typed and what the course says can neither run nor fetch."""
    used = ((exam.handed_in or exam.ends) - exam.begun).total_seconds()
    allowed = (exam.ends - exam.begun).total_seconds()
    share = f"{100 * exam.reached / exam.points:.0f} %"
    parts = [
        f"### {write_points(exam.reached)} of {exam.points} points ({share})",
        f"{write_plain_markdown(exam.title)}, in {max(1, round(used / 60))} of {round(allowed / 60)} minutes.",
        _tabulate_topics(exam),
    ]
    return "\n\n".join([*parts, *(_write_question(exam, index) for index in range(len(exam.questions)))])


def _tabulate_topics(exam: MockExam) -> str:
    lines = ["| topic | questions | points |", "|---|---|---|"]
    for found in count_topic_points(exam):
        name = write_plain_markdown(found.topic).replace("\n", " ")
        lines.append(f"| {name} | {found.questions} | {write_points(found.reached)} of {found.points} |")
    return "\n".join(lines)


def _write_question(exam: MockExam, index: int) -> str:
    asked, given = exam.questions[index], exam.find_answer(index)
    name = VERDICTS[given.verdict].lower() if given.verdict else "not graded: the paper gives no answer"
    points = f"{write_points(exam.count_points(index))} of {asked.points} points"
    overruled = ", by your own verdict" if given.verdict != given.proposed else ""
    parts = [f"#### Question {index + 1}: {points}, {name}{overruled}"]
    parts += [write_safe_markdown(text) for text in (asked.shared, asked.question.text) if text]
    parts.append(f"**Your answer:** {write_plain_markdown(given.text).strip() or '*none*'}")
    for reference in asked.question.references[:1]:
        parts.append(f"**The course:** {write_safe_markdown(reference.answer)}\n\n{write_place(reference)}")
    return "\n\n".join(parts)
