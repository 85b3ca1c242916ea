"""Rows about defined terms, for tests of what was learned."""

from typing import Any

DEFINED = {
    "the mean": "The mean is the sum of all values divided by how many there are.",
    "a median": "A median is the value in the middle of the sorted values.",
    "the mode": "The mode is the value that occurs most often.",
    "variance": "Variance is the mean squared distance from the mean; a large variance means wide values.",
    "outliers": "Outliers are values that lie far away from all others.",
}


def make_row(question: str, answer: str, kind: str = "concept", **more: Any) -> dict[str, Any]:
    content = f"Answer: {answer}\n\nRelated concepts:\n- data"
    turns = [{"role": "system", "content": "Tutor."}, {"role": "user", "content": question}]
    qa = {"question": question, "answer": answer, "type": kind, "context": "", **more.pop("qa", {})}
    origin = {"source": "week1.pdf", "section": 0, "page": 2, "cell": None, "heading": ["Week 1"], **more}
    return {"messages": [*turns, {"role": "assistant", "content": content}], "qa_pair": qa, "origin": origin}


def make_rows() -> dict[str, list[dict[str, Any]]]:
    rows = [make_row(f"What is {term}?", answer) for term, answer in DEFINED.items()]
    return {"train": rows[:4], "valid": [], "test": rows[4:]}


RIVERS = {
    "a meander": "A meander is a winding bend that slow water carves through soft valley floors.",
    "an estuary": "An estuary is a tidal mouth where fresh current mixes with salty ocean tide.",
    "a cataract": "A cataract is a steep plunge over hard granite ledges after heavy rainfall.",
    "a levee": "A levee is an earthen bank that villages raise against yearly spring flooding.",
    "an oxbow": "An oxbow is a curved lake left behind when erosion cuts away narrow necks.",
}


def make_river_rows() -> dict[str, list[dict[str, Any]]]:
    rows = [make_row(f"What is {term}?", answer) for term, answer in RIVERS.items()]
    return {"train": rows, "valid": [], "test": []}
