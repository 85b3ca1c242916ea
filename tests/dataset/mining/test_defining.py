"""What defines no term: praise, news, names, fragments, and what points at something elsewhere."""

from dataclasses import replace

import pytest

from mlx_tutor.dataset.mining.defining import collect_definitions, find_definitions
from mlx_tutor.records import ENTRY, Block, Chunk


def find(*texts: str, heading: str = "Harbour", language: str = "en") -> dict[str, str]:
    chunk = Chunk("a.md", 0, (heading,), tuple(Block("text", text) for text in texts), language=language)
    return {found.term: found.text for found in find_definitions(chunk)}


@pytest.mark.parametrize(
    "sentence",
    [
        "A pier is the most popular place of the whole town by far.",
        "A pier is a part of the harbour and belongs to the town.",
        "A pier is an important part of a harbour that lives by large ships.",
        "A pier is one of the places that all of the captains know.",
        "A pier is a difficult issue for all who own a ship of that size.",
        "Piers are the lifeblood of every town that lives by the sea.",
        "Grace Bell is an engineer who built the first crane on the pier.",
        "Acme is a large company that builds piers in many of the harbours.",
        "**Acme** employs a hundred people who build piers in all of the harbours.",
        "This property is a number that tells how deep a ship lies.",
        "The resulting sum is called the toll.",
        "Even more important is the depth of the water that is left at low tide.",
        "Larger ships mean greater depth, which is what the owner of a port pays for.",
        "Indeed draught is a number that each pilot knows.",
        "A pier is a walk over the water that was finished in 1903 by the town.",
        "A pier is a walk over the water, as in Figure 3 of this chapter.",
        "A **deterministic machine** is a tuple of five things, with",
        "We can calculate various tides as the sum of waves that are known.",
        "Since a pier is a walk that stands on poles, storms do it little harm.",
        "- **Fact**: A ship that is full lies deeper in the water.",
        "- **Sea wall**: The sea wall keeps the waves of a storm out of the harbour.",
    ],
)
def test_no_definition(sentence: str) -> None:
    assert find(sentence) == {}


def test_without_bold_type_a_name_with_an_article_needs_a_place_of_its_own() -> None:
    sentence = "The bilge is the lowest space in a ship."
    assert find(sentence) == {}
    assert find(sentence, heading="Bilge") == {"bilge": sentence}
    assert find("Water gathers in the **bilge**.", sentence) == {"bilge": sentence}


def test_a_heading_may_name_the_kind_of_a_term() -> None:
    sentence = "The dry dock is the basin of a yard from which the water is pumped."
    assert find(sentence, heading="Dock") == {"dry dock": sentence}
    assert find("The example dock is the basin of a yard in the north.", heading="Dock") == {}


@pytest.mark.parametrize(
    "sentence",
    [
        "A bilge is a part of the hull that no sailor can see.",
        "A wing is one of the three sheds that close off a basin.",
    ],
)
def test_what_tells_a_part_from_the_others_defines_it(sentence: str) -> None:
    assert list(find(sentence).values()) == [sentence]


def test_a_plural_is_told_by_its_verb() -> None:
    text = (
        "Hawsers are ropes that tie a ship to a quay. Nauplius is a city of ropes. Odds is a word that means a chance."
    )
    chunk = Chunk("a.md", 0, ("-",), (Block("text", text),))
    assert {found.term: found.plural for found in find_definitions(chunk)} == {"Hawsers": True, "Odds": False}


def test_the_two_wordings_trusted_most_are_those_of_the_course() -> None:
    said = [
        "A **pier** takes ships of all sizes along both of its sides.",
        "A **pier** is defined as a walk that stands in the water.",
        "A **pier** refers to a walk that stands in the water.",
    ]
    chunks = [Chunk("a.md", i, ("-",), (Block("text", text),)) for i, text in enumerate(said)]
    assert [found.text for found in collect_definitions(chunks)["pier"]] == [
        text.replace("**", "") for text in said[1:]
    ]


def test_labels_of_exercises_define_nothing() -> None:
    assert find("Exercise 2. A pier is a walk that stands in the water. Why?") == {}


@pytest.mark.parametrize(
    "sentence",
    [
        "Ballast is the most underrated weapon of a captain who wants to win.",
        "Ballast is a particularly interesting case of cargo because nobody wants to buy it.",
        "Ballast is a special case of heavy cargo.",
        "Ballast is a concept that is often used to describe the state of ships.",
        "Ballast is the bridge between the cargo and the hull of a ship.",
        "A **hawser** is a very old rope.",
        "A **hawser** was a rope that tied a ship to a quay.",
        "**Hawsers** are found mainly in the north, though some are used in the south.",
        "**Hawsers** attach to a ring of iron on the quay of a port.",
        "The share of wet ropes in the hold of a ship is called a parameter.",
        "The ropes in the hold are called the stock.",
        "The 25 ropes in the previous plot are called a sample.",
        "The elements of $V$ are called the **nodes** of the network.",
        "The number $a$ is called the **rope index** of each of the ships.",
        "Draught is defined as the depth $D$ of a hull at rest.",
        "Draught is defined as the depth of the hull $p$ of a ship at rest.",
        "Ballast is a cargo that is also one of the most widely carried goods of the world.",
        "Ballast is usually the responsibility of the mate of a ship.",
        "Ballast is the dominant cargo that a ship of this town takes in.",
        "An adaptation of the long rope is called a **warp**.",
        "Ballast is a cargo that nobody buys; therefore, it is important to have sand in the port.",
        "Ballast is a cargo that nobody sells; however, some of it is made of iron.",
        "A variation of a hawser is called a **warp**.",
        "The crew hauls in something called a **warp**.",
        "A pier is a walk that we have seen from the shore of the bay.",
        "A pier is a walk over water that is named in the second column.",
        "A pier is a walk over water that stands on poles, see [link].",
    ],
)
def test_what_does_not_say_how_a_term_differs_from_others_of_its_kind(sentence: str) -> None:
    assert find(sentence, heading="Ballast") == {}


def test_letters_that_the_definition_explains_may_stand_in_it() -> None:
    said = "A **chain** is a set of links $L$ with a weight $w$ that gives each of the links in $L$ a length."
    assert find(said.replace("a set of links", "each list of links")) == {
        "chain": said.replace("a set of links", "each list of links").replace("**", "")
    }
    said = "A port $P$ with a wall around its basin is called **sheltered** if no wave can reach the ships in it."
    assert find(said) == {"sheltered": said.replace("**", "")}
    said = "A **berth plan** is a split of the ships into the $k$ best groups for one quay."
    assert find(said) == {"berth plan": said.replace("**", "")}


def test_what_symbols_say_again_is_left_out() -> None:
    said = "Draught is defined as the depth of a hull at rest"
    assert find(f"{said}: $D=1$ when $L=1$.") == {"Draught": f"{said}."}


def test_the_next_sentence_says_how_a_term_differs() -> None:
    said = "A **hawser** is a heavy ship rope. It ties a ship to a quay and holds it there in a storm."
    assert find(said) == {"hawser": said.replace("**", "")}
    assert find("A **hawser** is a heavy ship rope. It was sold in the port.") == {}
    assert find("A **hawser** is a heavy ship rope. Sailors buy it in the port.") == {}


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("de", "**Lotsen** sind die Geheimwaffe für alle engen Häfen."),
        ("de", "**Ballast** ist ein Spezialfall bei der Ladung."),
        ("de", "**Ballast** ist die schwerste der vier Ladungen."),
        ("de", "- **Beladung**: Ein Kran des Hafens bewegt den Container an Bord."),
        ("de", "- **Ablegen**: Ein Schiff anhand seiner Nummer aus dem Hafen führen."),
        ("es", "**Lastre** es la carga más pesada."),
        ("es", "Los **prácticos** son los que toman las decisiones en el puerto."),
        ("es", "Normalmente es un barco que tiene una hélice de bronce."),
        ("es", "- **Atraque**: Un barco de Cádiz quiere entrar en el puerto de noche."),
        ("es", "- **Amarre**: el golpe de una ola se reduce porque la cuerda cede."),
        ("pt", "O **lastro** é a força da gravidade dentro do navio."),
        ("pt", "O **lastro** é a carga mais pesada."),
        ("fr", "Le **lest** est le cœur de tous les bateaux qui prennent la mer."),
        ("it", "La **zavorra** è il cuore di ogni nave che prende il mare."),
        ("nl", "De **ballast** is het hart van elk schip dat de zee op gaat."),
        ("zh", "**压舱物**是船舶安全的基础。"),
        ("zh", "载重量是由船东和货主商定的。"),
        ("zh", "靠泊是一个很慢的过程。"),
        ("zh", "**搁浅**是由于船底碰到了水下的沙洲。"),
        ("zh", "降低航速是船员节省燃料的方法。"),
        ("zh", "船长的目标是提高货物装卸的速度。"),
        ("zh", "部分 $k$ 称为 **安全系数**。"),
    ],
)
def test_remarks_define_nothing_in_any_language(language: str, sentence: str) -> None:
    assert find(sentence, language=language) == {}


@pytest.mark.parametrize(
    "sentence",
    [
        "Hawsers are special cases of ropes that are commonly used.",
        "By calmer we mean as close as possible to a sea without waves.",
        "Like the bow rope, the stern rope is thick, but it is long and is called running rope.",
        "Some ropes are laid by hand and are dear, whereas others are laid by a machine and are called machine ropes.",
        "A hawser is a thick rope but threads in it must be thin.",
        "Some ropes are often called warps, and the rest are called hawsers.",
        "Hawsers are defined by laying three strands around each other.",
        "In the **the harbour plan**, each line is a quay with ropes of its own.",
        "The firm sells **Hawsers**, thick ropes, carry loads that are heavy.",
    ],
)
def test_no_aside_is_a_definition(sentence: str) -> None:
    assert find(sentence) == {}


@pytest.mark.parametrize(
    ("sentence", "term"),
    [
        ("载重量是货物、燃料和淡水质量的总和，单位是吨。", "载重量"),
        ("**干舷** 是指甲板边线与水面之间的垂直距离。", "干舷"),
        ("在造船学中，浮心是指船体排开的水的重心。", "浮心"),
        ("我们把船体水下部分的体积称为 **排水体积**。", "排水体积"),
        ("**拖船（远洋）**是一种在海上拖带其他船只的船。", "拖船"),
        ("计算机导航是利用计算机确定船位的方法。", "计算机导航"),
        ("假设检验是根据样本判断假设是否成立的方法。", "假设检验"),
        ("系泊是用缆绳把船固定在码头上的一项作业。", "系泊"),
    ],
)
def test_chinese_definitions_of_several_forms(sentence: str, term: str) -> None:
    assert list(find(sentence, language="zh")) == [term]


@pytest.mark.parametrize(
    ("language", "label", "outline", "said"),
    [
        ("en", "Definition of ballast", "Links to cargo and to hulls.", "The load that steadies a ship at sea."),
        ("de", "Definition von Ballast", "Bezug zu Ladung und Rumpf.", "Die Last, die ein Schiff auf See ruhig hält."),
        (
            "es",
            "Definición formal de lastre",
            "Nexo entre carga y casco.",
            "La carga que estabiliza un barco en el mar.",
        ),
        (
            "fr",
            "Définition formelle de lest",
            "Lien entre charge et coque.",
            "Une charge qui stabilise un bateau en mer.",
        ),
        ("it", "Definizione formale di zavorra", "Nesso tra carico e scafo.", "Il carico che rende stabile una nave."),
        ("pt", "Definição formal de lastro", "Nexo entre carga e casco.", "A carga que estabiliza um navio no mar."),
        (
            "nl",
            "Definitie van ballast",
            "Verband tussen lading en romp.",
            "De lading die een schip op zee stabiel houdt.",
        ),
    ],
)
def test_the_term_of_a_label_stands_behind_its_preposition(language: str, label: str, outline: str, said: str) -> None:
    assert find(f"**{label}.** {outline}", language=language) == {}
    term = label.rpartition(" ")[2]
    assert find(f"**{label}.** {said}", language=language) == {term: f"{term.capitalize()}: {said}"}


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "Loading many heavily means unloading others in the next port."),
        ("en", "Pilots refer to this as the rule of the third tide."),
        ("en", "Ballast involves a number of choices that a captain has to make."),
        ("en", "Ballast is the cause of the slow pace that most ships of the town have."),
        ("en", "Ballast is an elegant tool for keeping ships upright in a storm."),
        ("en", "The sum of all goods that ships would carry at that toll is called the load offered."),
        ("en", "The hold contains goods and also things like sand (also called **ballast**)."),
        ("en", "Many ports saw similar drops in tolls and in depth. This pattern became known as **siltage**."),
        ("en", "Ballast is the load that is given by the rule (3)."),
        ("en", "Gerald is a careful father with two boats of his own."),
        ("fr", "- **Vitesse**: Les voiles de la proue donnent une allure plus vive au bateau."),
        ("de", "**Ballast** ist ein elegantes Werkzeug für ruhige Schiffe auf See."),
        ("de", "**Ballast** ist ein sehr wichtiger Aspekt der Seefahrt in jedem Hafen."),
        ("es", "El **lastre** es un aspecto muy importante de la navegación de cada puerto."),
        ("es", "El **lastre** es una herramienta elegante para estabilizar los barcos."),
        ("fr", "Le **lest** est un aspect très important de la navigation dans chaque port."),
        ("fr", "Le **lest** est un outil élégant pour stabiliser les bateaux de chaque port."),
        ("fr", "Le **lest** est le moyen le plus populaire pour de nombreux bateaux de pêche."),
        ("fr", "Un tel lest est une charge qui ralentit les bateaux de chaque port."),
        ("it", "La **zavorra** è un aspetto molto importante della navigazione in ogni porto."),
        ("it", "La **zavorra** è uno strumento elegante per rendere stabili le navi."),
        ("pt", "O **lastro** é um aspecto muito importante da navegação em cada porto."),
        ("pt", "O **lastro** é uma ferramenta elegante para estabilizar os navios."),
        ("nl", "De **ballast** is een zeer belangrijk aspect van de zeevaart in elke haven."),
        ("nl", "De **ballast** is een elegant middel om schepen stabiel te houden."),
        ("zh", "**压舱物**是一种优雅的工具，用于让船舶在海上保持平稳。"),
    ],
)
def test_neither_praise_nor_causes_nor_pointers_define(language: str, sentence: str) -> None:
    assert find(sentence, heading="Ballast", language=language) == {}


@pytest.mark.parametrize(
    ("language", "text", "term", "said"),
    [
        (
            "en",
            "- Berth – Any free place of a quay is known as a berth.",
            "berth",
            "Any free place of a quay is known as a berth.",
        ),
        (
            "en",
            "In the following, draught denotes the depth of a hull in the water.",
            "draught",
            "Draught denotes the depth of a hull in the water.",
        ),
        ("en", "The toll at a port and the load at that toll is called the tariff.", "tariff", ""),
        (
            "en",
            "Many ports saw similar drops in depth. This pattern became known as **siltage**. (Recall from Rivers and "
            "Mud that siltage is a slow rise of the ground of a harbour.)",
            "siltage",
            "Siltage is a slow rise of the ground of a harbour.",
        ),
        ("fr", "Dans la suite, un tonneau est une unité de volume de la charge.", "tonneau", ""),
        ("it", "Nel seguito, un nodo è una misura della velocità di una nave.", "nodo", ""),
    ],
)
def test_what_leads_into_a_definition_is_left_out(language: str, text: str, term: str, said: str) -> None:
    whole = text.partition(", ")[2]
    found = {term.lower(): said for term, said in find(text, language=language).items()}
    assert found == {term: said or (whole[:1].upper() + whole[1:] if whole else text)}


@pytest.mark.parametrize(
    "sentence",
    [
        "In a **dry port**, the containers of the railway pay no toll.",
        "Owners speak of **fair tolls**, the tolls in a port rise with the depth.",
        "Owners fear a **slack season**, when ships lie idle in the port.",
        "The manual names **blank berths**, whose bollards are gone.",
        "The list has **worth**, the speed at which they can be sold.",
        "A **dry port** uses the railway that leads to the quay of a seaport.",
        "**Mooring** includes all the ropes that a crew has on board of a ship.",
        "The affected rope is called the **slack line**.",
        "Ropes and chains break often and are called **gear**.",
        "The hauling of heavy ropes, a task called **warping**, tires all men on a ship.",
        "Mooring is a skill that can be learned in a week by any sailor.",
        "Mooring is a tool that helps you to keep a ship at its quay.",
        "A convenient mooring point is a bollard that stands near the bow of a ship.",
        "A final kind is a bollard that stands on the deck of a ship.",
        "Low tolls for fishermen means that many ships of the town lie idle.",
        "Mooring is the study of such ropes and of the knots in them.",
    ],
)
def test_what_a_thing_does_and_half_a_sentence_define_nothing(sentence: str) -> None:
    assert find(sentence, heading="Mooring") == {}


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (
            "A hawser is a rope that ties a ship to a quay, and its strands are laid by a machine.",
            "A hawser is a rope that ties a ship to a quay.",
        ),
        (
            "A hawser is a rope that ties a ship to a quay; the other end is made fast on the deck.",
            "A hawser is a rope that ties a ship to a quay.",
        ),
        (
            "A hawser is a rope that ties a ship to a quay, while warps move it along the quay.",
            "A hawser is a rope that ties a ship to a quay.",
        ),
        (
            "A hawser is a rope that ties a ship to a quay, and a `warp` is a rope that moves it along the quay.",
            "A hawser is a rope that ties a ship to a quay.",
        ),
        (
            "A hawser is a rope that comes from the ship’s locker, is made of hemp, and is as thick as an arm.",
            "A hawser is a rope that comes from the ship’s locker, is made of hemp, and is as thick as an arm.",
        ),
        (
            "Slack water is a state in which the tide has turned, and the flow is near zero.",
            "Slack water is a state in which the tide has turned, and the flow is near zero.",
        ),
        (
            "The depth that a hull needs in still water is called **draught**, and pilots read it at the bow.",
            "The depth that a hull needs in still water is called draught.",
        ),
    ],
)
def test_a_definition_ends_where_another_thing_begins(sentence: str, said: str) -> None:
    assert list(find(sentence).values()) == [said]


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("de", "Häufig sind die Taue der Schiffe aus Hanf oder aus Stahl."),
        ("de", "Gesucht ist eine Möglichkeit, alle Boote über den Fluss zu bringen."),
        ("de", "Eine mit dem Lotsen-Verfahren berechnete Route wird auch **Lotsen-Route** genannt."),
        ("de", "Die Hafenrundfahrt ist der Ort, wo das Staunen beginnt."),
        ("pt", "Um porto é uma excelente alternativa a uma praia, já que protege os barcos das ondas."),
        ("pt", "A amarração é uma maneira de falar com quem está no cais."),
        ("pt", "Um cabo é uma corda em Lisboa."),
        ("de", "Ein Gegenbeispiel ist der Kran, der nur bei Ebbe an der Kaimauer steht."),
        ("de", "Der **Umschlag** dient der Versorgung der Stadt mit Waren aus Übersee."),
        ("de", "Der Entwurf wird auch als **Seeriss** bezeichnet."),
        ("de", "Festmacher ist ein sehr allgemeiner Begriff für Leinen und auch für Menschen."),
        ("fr", "Un exemple classique est la grue, qui soulève les conteneurs d’un navire."),
        ("fr", "L’**amarrage** est une méthode simple pour garder un bateau au port."),
        ("fr", "Une solution courante dans les ports de la côte s’appelle un **corps-mort**."),
        ("es", "- **Amarre**: el cabo de proa y popa."),
    ],
)
def test_what_begins_a_sentence_or_praises_is_no_term_in_any_language(language: str, sentence: str) -> None:
    assert find(sentence, language=language) == {}


def test_an_entry_of_a_definition_list_counts_below_exercises_too() -> None:
    entry = Block("text", "slack water: the short time in which a tide turns", role=ENTRY)
    plain = Block("text", "A hawser is a rope that ties a ship to a quay.")
    chunk = Chunk("a.md", 0, ("Exercises",), (plain, entry), language="en")
    (found,) = find_definitions(chunk)
    assert (found.term, found.text) == ("slack water", "Slack water: the short time in which a tide turns.")


@pytest.mark.parametrize("text", ["also called a line", "See the chapter about tides", "uses a winch to haul a rope"])
def test_an_entry_that_only_refers_or_tells_defines_nothing(text: str) -> None:
    chunk = Chunk("a.md", 0, ("Terms",), (Block("text", f"warp: {text}", role=ENTRY),), language="en")
    assert find_definitions(chunk) == ()


@pytest.mark.parametrize(
    ("language", "head", "term", "text"),
    [
        ("en", "Term | Definition", "Slack water", "Short time in which a tide turns"),
        ("de", "Begriff | Bedeutung", "Stauwasser", "Zeit zwischen Ebbe und Flut"),
        ("fr", "Terme | Signification", "Étale", "Moment où la marée change de sens"),
        ("nl", "Begrip | Betekenis", "Kentering", "Tijd waarin het getij van richting verandert"),
    ],
)
def test_rows_of_a_table_of_terms_are_definitions(language: str, head: str, term: str, text: str) -> None:
    others = "| Kai | x |\n| Mole | y |"
    table = f"| {head} |\n|---|---|\n| {term} | {text} |\n{others}"
    chunk = Chunk("a.md", 0, ("Tide",), (Block("table", table),), language=language)
    said = text if language == "de" else text[0].lower() + text[1:]
    assert [found.text for found in find_definitions(chunk)] == [f"{term}: {said}."]
    other = replace(chunk, blocks=(Block("table", table.replace(head, "A | B")),))
    assert find_definitions(other) == ()


@pytest.mark.parametrize(
    "sentence",
    [
        "A breakwater is a familiar way of keeping waves out of a harbour.",
        "Hemp is a constituent of many ropes and is needed on every ship.",
        "A **pilot boat** is a light craft that became the standard for exactly those richer ports.",
        "Harbours in which this is allowed are called **free ports**.",
    ],
)
def test_what_says_too_little_without_its_text_defines_nothing(sentence: str) -> None:
    assert find(sentence) == {}


def test_a_definition_is_not_cut_in_a_name_or_between_verb_and_object() -> None:
    sentence = "**Lovo** is the island west of St. Olaf that the pilots of the harbour reach first."
    assert list(find(sentence).values()) == [sentence.replace("**", "")]
    sentence = "Salvage is a claim of a crew that saved, but does not own, the goods of a ship."
    assert list(find(sentence).values()) == [sentence]
