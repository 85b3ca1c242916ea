"""Function words and stems by language."""

import pytest

from mlx_tutor.languages.table import list_languages
from mlx_tutor.languages.words import list_common_words, list_stopwords, stem_words

FORMS = {
    "en": ("variance", "variances"),
    "de": ("Verteilung", "Verteilungen"),
    "es": ("probabilidad", "probabilidades"),
    "fr": ("réseau", "réseaux"),
    "it": ("matrice", "matrici"),
    "pt": ("amostra", "amostras"),
    "nl": ("steekproef", "steekproeven"),
    "ru": ("вероятность", "вероятности"),
    "ar": ("احتمال", "الاحتمالات"),
}


@pytest.mark.parametrize("language", [*list_languages(), "ru", "ar", "sv"])
def test_function_words_are_no_terms(language: str) -> None:
    small, common = list_stopwords(language), list_common_words(language)
    terms = {"mean", "order", "value", "system", "wert", "ordnung", "jahr", "valor", "sistema", "valeur", "ordine"}
    assert len(small) > 80 and not small & terms
    assert len(common) >= len(small) - 20


@pytest.mark.parametrize(("language", "forms"), FORMS.items())
def test_forms_of_a_word_share_a_stem(language: str, forms: tuple[str, str]) -> None:
    one, many = stem_words(forms, language)
    assert one == many


def test_what_no_library_knows_stays_as_it_is() -> None:
    assert stem_words(["Zəng", "电路"], "az") == ["zəng", "电路"]
    assert list_stopwords("xx") == frozenset()
