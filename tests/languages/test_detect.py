"""Telling the language of lecture texts, short ones and those that are mostly code."""

import pytest

from mlx_tutor.languages.detect import NAMES, detect_language, name_language

SENTENCES = {
    "en": ("The variance is the mean of the squared deviations.", "Why does gradient descent diverge?"),
    "de": ("Sei X eine Zufallsvariable mit endlicher Varianz.", "Overfitting heißt, dass das Modell Rauschen lernt."),
    "es": ("Sea X una variable aleatoria.", "El sobreajuste significa que el modelo aprende ruido."),
    "fr": ("Soit X une variable aléatoire.", "Pourquoi la descente de gradient diverge-t-elle ?"),
    "it": ("Sia X una variabile casuale.", "Perché la discesa del gradiente diverge?"),
    "pt": ("Seja X uma variável aleatória.", "Por que o gradiente descendente diverge?"),
    "nl": ("Een p-waarde is niet de kans op een hypothese.", "Markovketens vergeten hun verleden."),
    "zh": ("设X是一个随机变量。", "过拟合是指模型学到了噪声。"),
    "ar": ("ليكن X متغيرا عشوائيا.", "سلاسل ماركوف تنسى ماضيها."),
    "ru": ("Пусть X — случайная величина.", "Переобучение означает, что модель запоминает шум."),
    "ja": ("平均値と中央値の違いは何ですか", "母集団から標本を取り出す。"),
    "pl": ("Wariancja jest średnią kwadratów odchyleń.", "Łańcuchy Markowa nie pamiętają przeszłości."),
}
CODE = '''import numpy as np
def load_rows(path):
    """Return the rows of the file, one list for each line that is not empty."""
    with open(path) as handle:
        return [line.split(",") for line in handle if not line.startswith("#")]
model = LinearRegression().fit(X_train, y_train)
print("The mean squared error is", np.mean((model.predict(X_test) - y_test) ** 2))
'''


@pytest.mark.parametrize(("language", "sentences"), SENTENCES.items())
def test_one_sentence_tells_the_language(language: str, sentences: tuple[str, str]) -> None:
    assert [detect_language(sentence) for sentence in sentences] == [language] * 2


@pytest.mark.parametrize(("language", "sentences"), SENTENCES.items())
def test_code_formulas_and_addresses_do_not_decide(language: str, sentences: tuple[str, str]) -> None:
    fenced = f"```python\n{CODE * 5}```\n{sentences[0]}\n"
    mixed = f"{CODE}\n{' '.join(sentences)}\n$$\\text{{the mean of the values}}$$ https://example.org/the/end/of/it\n"
    assert detect_language(fenced) == detect_language(mixed) == language


@pytest.mark.parametrize(
    "text", ["", "42", "ANOVA", "x + y = 3", "y = x + y, example.com", "Quick sort", CODE, "$\\frac{a}{b}$", "TCP/IP"]
)
def test_what_no_language_owns_is_left_open(text: str) -> None:
    assert detect_language(text) == ""


def test_the_first_pages_of_a_long_text_do_not_decide() -> None:
    preface = f"{SENTENCES['en'][0]} " * 200
    assert detect_language(preface + f"{SENTENCES['de'][0]} " * 4000) == "de"


def test_names() -> None:
    assert (name_language("ar"), name_language("xx")) == ("Arabic", "xx")
    assert list(NAMES) == sorted(NAMES)
