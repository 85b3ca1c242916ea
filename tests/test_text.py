"""Sentences of a paragraph, in each language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlx_tutor.languages.table import list_languages
from mlx_tutor.text import cut_text, split_lines, split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One ends. Two ends! Three?", ["One ends.", "Two ends!", "Three?"]),
        ("It is 3.5 m, e.g. Here it goes on.", ["It is 3.5 m, e.g. Here it goes on."]),
        ("As Dr. Who said in Fig. 3. Then he left.", ["As Dr. Who said in Fig. 3.", "Then he left."]),
        ("We get $a. B$ here. **Next** one.", ["We get $a. B$ here.", "**Next** one."]),
        ("He said “stop.” Then all was still.", ["He said “stop.”", "Then all was still."]),
        (". The", [".", "The"]),
    ],
)  # fmt: skip
def test_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@given(st.text(alphabet='aB .!?$*"”()e.g1«»。）’'), st.sampled_from([*list_languages(), ""]))
def test_sentences_are_pieces_of_the_text_in_order(text: str, language: str) -> None:
    position = 0
    for sentence in split_sentences(text, language):
        position = text.index(sentence, position) + len(sentence)
    assert "".join("".join(split_sentences(text, language)).split()) == "".join(text.split())


# Sentences are marked off by "|".
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The p-value, e.g. 0.03, is small.| We reject, as in Fig. 2 and on p. 7.| The answer is no.| Why?"),
        (
            "en",
            "Read `x.fit(). Y` first.| $n$ is the size of the sample.| (It is 30.)| 1. Sort the list.| 2. Take one.",
        ),
        ("en", "The U.S. economy grew in Oct. 2022 by a third.| J. Smith et al. say so."),
        ("de", "Eine Menge, z. B. die aus Abb. 3, ist endlich, d. h. sie hat n Werte.| Öl schwimmt bzw. treibt oben."),
        ("de", "Am 3. Mai wurde das 2. Gesetz z.B. „so“ gefasst.| Prof. Ernst nennt ca. 4 Fälle usw. auf S. 12."),
        ("de", "Der Wert ist 5.| Er sagte: „Das stimmt.“| Dann ging er."),
        ("es", "¿Qué es la media, p. ej. aquí?| ¡Cuidado!| Véase la fig. 3 de la Sra. López.| Ángulo y lado cambian."),
        ("fr", "Voir l’éq. 3, p. ex. selon M. Petit.| Est-ce vrai ?| Il dit : « Oui. »| « Être » est un verbe."),
        ("it", "Il dott. Rossi usa la fig. 4 ecc. senza dire altro.| È noto, ad es. a pag. 12."),
        ("pt", "A Profa. Souza mostra, p. ex. na pág. 12, o caso.| Às vezes não basta.| Água ferve."),
        ("nl", "Een stapel, d.w.z. een lijst, staat op blz. 12 bij dhr. Vos.| 's Avonds werkt hij bijv. ook."),
        ("zh", "方差是平均数（见第3.2节。）的函数。|为什么？|因为导数很小！|他说：“这是对的。”|用`a。b`调用。"),
        ("ar", "لماذا يتباعد؟| لأن الخطوة كبيرة!| القيمة 3.14 تقريبا."),
        ("ru", "Почему он важен?| Он прост, напр. так.| Её корень равен 2."),
        ("", "It is small, e.g. Fig. 3 shows it.| It grows."),
    ],
)
def test_sentences_of_a_language(language: str, text: str) -> None:
    sentences = [sentence.strip() for sentence in text.split("|")]
    assert split_sentences(text.replace("|", ""), language) == sentences


def test_lines_of_an_answer() -> None:
    assert split_lines("One. Two!\n- three\n四。五！“六。”") == ["One.", "Two!", "- three", "四。", "五！", "“六。”"]


def test_long_texts_are_cut_on_one_line() -> None:
    assert cut_text(" a\n\nb ") == "a b"
    assert len(cut_text("word " * 99)) <= 160 and cut_text("word " * 99).endswith("…")
