import re

from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.dataset.mining.concepts import _join_terms

WORDS = st.text("abs -.", min_size=1, max_size=5).map(str.strip).filter(bool)


@given(st.sets(WORDS, min_size=1, max_size=12), st.text("abs -.", max_size=40))
def test_joined_terms_find_what_a_list_of_them_finds(terms: set[str], text: str) -> None:
    longest_first = sorted(terms, key=lambda term: (-len(term), term))
    plain = "|".join(re.escape(term) + r"(?=s?(?![\w-]))" for term in longest_first)

    def find(pattern: str) -> list[str]:
        return re.findall(rf"(?<![\w-])({pattern})", text)

    assert find(_join_terms(sorted(terms))) == find(plain)
