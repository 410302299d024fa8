"""What the package's own prompts ask: the same items, in the same order, in every language and setting.

The items are those of the original scripts' tasks, so that answers can be compared across languages and, as far as that
goes, with published ones. `ITEMS` says by which words each language asks each of them; whoever rewords a task rewords
the table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.benchmarks.vlures.prompts import SETTINGS, Pack, build_cell_prompt, load_pack
from vlures.benchmarks.vlures.settings import Setting
from vlures.benchmarks.vlures.tasks import TASKS, Task
from vlures.sandbox.answers.questions import language_of, split_article


@dataclass(frozen=True)
class Words:
    """A language's own words for the parts of a prompt."""

    name: str
    """The language, as a prompt in it calls it."""
    only: str
    """What would make it the only language allowed, as a pattern."""
    headings: tuple[str, str, str, str, str]
    """Question, answer, rationale, article, task."""
    other_image: str
    other_article: str
    carry_nothing: str
    """That the example's content is not to be carried over."""
    belonging: str
    """That the article belongs to the image."""
    both: str
    """That the answer relies on both sources."""
    at_length: tuple[str, str]
    """That a rationale is detailed, and goes step by step."""
    nothing_apart: str
    """That no part with reasons is wanted."""
    this_task: str
    """That the answer is to this task alone."""
    places: tuple[str, str, str]
    """Where a place of the eighth example is: article, picture, both."""
    quotation: str
    """A quotation, as a pattern with one group."""
    not_asked: tuple[str, ...]
    """What the originals do not ask: materials; weather, season, time of day, atmosphere; shares of the area; a caption
    and its number of sentences; to say that there is none of a kind, or that something is uncertain."""


WORDS = {
    "En": Words(
        name="English",
        only=r"\bonly\b|\bother languages?\b",
        headings=("Question:", "Answer:", "Rationale:", "Article:", "Task:"),
        other_image="another image, which you do not see",
        other_article="another article",
        carry_nothing="carry nothing of its content over",
        belonging="the article that belongs to it",
        both="Rely on both the image and the article",
        at_length=("in detail", "step by step"),
        nothing_apart="no separate part with reasons",
        this_task="this task alone",
        places=("article", "photograph", "both"),
        quotation='"([^"]+)"',
        not_asked=(
            *("material", "weather", "season", "time of day", "atmosphere", "how much of", "share of", "extent"),
            *("caption", "two or three", "if there are none", "say so", "cannot be made out", "colour", "number"),
        ),
    ),
    "Jp": Words(
        name="日本語",
        only="日本語だけ|日本語のみ|ほかの言語|他の言語",
        headings=("問い：", "答え：", "根拠：", "記事：", "課題："),
        other_image="別の画像",
        other_article="別の記事",
        carry_nothing="例の内容を今回の答えに持ち込まない",
        belonging="その画像に付いている下の記事",
        both="画像と記事の両方に基づいて",
        at_length=("詳しく", "順を追って"),
        nothing_apart="根拠を述べる部分を別に設けない",
        this_task="この課題",
        places=("記事", "写真", "両方"),
        quotation="「([^」]+)」",
        not_asked=(
            *("素材", "材質", "天候", "天気", "季節", "時間帯", "雰囲気", "広さ", "割合", "面積", "キャプション"),
            *("二文", "三文", "ない場合", "分からない", "はっきりしない", "色", "数"),
        ),
    ),
    "Sw": Words(
        name="Kiswahili",
        only=r"\bpekee\b|\btu\b|lugha nyingine",
        headings=("Swali:", "Jibu:", "Sababu:", "Makala:", "Kazi:"),
        other_image="picha nyingine, ambayo huioni",
        other_article="makala mengine",
        carry_nothing="usiingize maudhui yoyote ya mfano",
        belonging="makala yanayoambatana nayo",
        both="Tegemea picha na makala kwa pamoja",
        at_length=("kwa kina", "hatua kwa hatua"),
        nothing_apart="usiongeze sehemu tofauti ya sababu",
        this_task="kazi hii tu",
        places=("katika makala", "kwenye picha", "kote kuwili"),
        quotation="“([^”]+)”",
        not_asked=(
            *("malighafi", "nyenzo", "hali ya hewa", "msimu", "wakati", "hisia", "ukubwa", "asilimia", "eneo la picha"),
            *("maelezo mafupi", "sentensi mbili", "mbili au tatu", "iwapo hakuna", "sema hivyo", "rangi", "idadi"),
        ),
    ),
    "Ur": Words(
        name="اردو",
        only="صرف اردو|اردو ہی|دوسری زبان",
        headings=("سوال:", "جواب:", "استدلال:", "مضمون:", "کام:"),
        other_image="ایک دوسری تصویر",
        other_article="ایک دوسرے مضمون",
        carry_nothing="اس کا مواد اپنے جواب میں نہ لائیے",
        belonging="اس کے ساتھ دیا گیا مضمون",
        both="تصویر اور مضمون دونوں کو بنیاد بنائیے",
        at_length=("تفصیل سے", "قدم بہ قدم"),
        nothing_apart="دلائل کا الگ حصہ نہ بنائیے",
        this_task="صرف اسی کام",
        places=("مضمون میں", "تصویر میں", "دونوں میں"),
        quotation="”([^“]+)“",
        not_asked=(
            *("مادّ", "موسم", "وقت", "فضا", "رقبہ", "جگہ گھیر", "کیپشن", "توضیحی عبارت", "دو یا تین", "رنگ", "تعداد"),
            *("نظر نہ آئے تو", "اندازہ نہ ہو", "یقینی نہ ہو"),
        ),
    ),
}

ITEMS: dict[int, dict[str, tuple[str, str, str, str]]] = {
    1: {
        "every object": ("List every object", "すべて列挙", "Orodhesha kila kitu", "تمام چیزوں کی"),
        "a list": ("List", "列挙", "Orodhesha", "فہرست بنائیے"),
        "living beings too": (
            "people, animals and plants",
            "人や動物、植物も",
            "watu, wanyama na mimea",
            "انسانوں، جانوروں",
        ),
        "in groups by kind": ("groups by kind", "種類ごとに分け", "makundi kulingana na aina", "قسم کے لحاظ سے گروہوں"),
        "furniture": ("furniture", "家具", "samani", "فرنیچر"),
        "devices": ("devices", "機器", "vifaa", "آلات"),
        "clothing": ("clothing", "衣類", "mavazi", "لباس"),
        "nothing overlooked": ("overlook nothing", "見落とさず", "bila kuacha chochote", "کوئی چیز نہ چھوڑیے"),
        "specific names": ("as specifically as", "具体的な名前", "majina mahususi", "متعین نام"),
    },
    2: {
        "the scene as a whole": ("as a whole", "場面全体", "mandhari yote", "پورا منظر"),
        "the kind of place": ("what kind of place", "どのような場所か", "mahali pa aina gani", "کیسی جگہ"),
        "the surroundings": ("surroundings", "周囲はどう", "mazingira yake", "گرد و پیش"),
        "activities": ("activities", "活動", "shughuli", "سرگرمیاں"),
        "events": ("events", "出来事", "matukio", "واقعات"),
        "comprehensive": ("full description", "漏れなく", "kikamilifu", "مکمل طور پر"),
    },
    3: {
        "relations": ("relations", "関係", "mahusiano", "تعلقات"),
        "interactions": ("interactions", "相互作用", "mwingiliano", "تعامل"),
        "objects and beings": ("other beings", "生き物", "viumbe wengine", "دوسرے جانداروں"),
        "how they are related": (
            "explain what each one is like",
            "どのようなものかを説明",
            "jinsi kila uhusiano",
            "نوعیت واضح",
        ),
        "spatial": ("spatial", "位置関係", "ya mahali", "مکانی"),
        "functional": ("functional", "機能的な関係", "ya matumizi", "استعمال کے"),
        "social": ("social", "社会的な関係", "ya kijamii", "سماجی"),
        "as far as observed": ("where they can be seen", "見て取れるもの", "kadiri yanavyoonekana", "جو نظر آئیں"),
    },
    4: {
        "semantic regions": ("semantic regions", "意味のまとまり", "kulingana na maana", "معنی کے لحاظ سے حصوں"),
        "a label for each": ("Name each region", "名前", "Lipe kila eneo jina", "ہر حصے کو نام"),
        "its content": ("what it contains", "何が含まれるか", "yaliyomo", "اس میں کیا ہے"),
        "briefly": ("in a few words", "手短に", "kwa ufupi", "مختصراً"),
        "the composition": ("composition", "画像全体の構成", "muundo wa picha", "تصویر کی ترتیب"),
    },
    5: {
        "detailed": ("in detail", "詳しく", "kwa kina", "تفصیل سے"),
        "connected": ("connected sentences", "ひと続きの文章", "sentensi zilizounganika", "مسلسل عبارت"),
        "what is happening": ("what is happening", "起きていること", "yanayotokea", "جو کچھ ہو رہا ہے"),
        "for one who cannot see": ("cannot see it", "見られない人に", "asiyeweza kuiona", "دیکھ نہ سکتا ہو"),
        "details that matter": ("no detail or action that matters", "大切な細部", "jambo", "اہم تفصیل"),
        "actions that matter": ("action that matters", "動作", "kitendo", "عمل"),
    },
    6: {
        "a list of passages": ("list", "一覧", "uorodheshe", "فہرست"),
        "that refer directly": ("refer directly", "直接言及している", "moja kwa moja", "براہِ راست ذکر"),
        "or closely match": ("closely match", "よく一致する", "zinazolingana kwa karibu", "قریبی مطابقت"),
        "objects, persons, scenes": (
            "objects, people or scenes",
            "物や人物、場面",
            "vitu, watu au mandhari",
            "لوگوں یا منظر",
        ),
        "precise": ("precisely", "正確に", "kwa usahihi", "ٹھیک ٹھیک"),
        "visual evidence for each": ("For each one", "それぞれについて", "Kwa kila sehemu", "ہر حصے"),
        "the evidence is seen": (
            "can be seen in the image",
            "画像に写っているもののうち、何が",
            "kinachoonekana",
            "نظر آنے والی",
        ),
    },
    7: {
        "unrelated parts": ("nothing to do with the image", "関わりのない", "hazihusiani na picha", "تعلق نہیں"),
        "or not depicted": ("not shown in it", "表れていない", "hazionyeshwi", "نہیں دکھائے گئے"),
        "why each is unrelated": ("why it is unrelated", "なぜ無関係", "kwa nini haihusiani", "غیر متعلق کیوں"),
        "what would have to be seen": (
            "would have to show",
            "何が写っていれば",
            "kingepaswa kuonekana",
            "نظر آنا چاہیے تھا",
        ),
        "and is missing": ("but does not", "欠けている", "hakimo", "موجود نہیں"),
    },
    8: {
        "places in the text": (
            "does the article mention",
            "記事にはどの場所",
            "yanayotajwa katika makala",
            "مضمون میں کن مقامات",
        ),
        "places in the image": (
            "does the image show",
            "画像にはどの場所",
            "yanayoonekana kwenye picha",
            "تصویر میں کون سے",
        ),
        "all of them": ("List them all", "すべて挙げ", "Yataje yote", "سب کی فہرست"),
        "of each, which source": ("each one", "場所ごとに", "kila eneo", "ہر مقام"),
        "or both": ("in both", "両方", "kote kuwili", "دونوں میں"),
        "famous ones": ("famous or well known", "名の知られた", "maarufu", "مشہور"),
        "why significant": ("why it is significant", "なぜ重要", "kwa nini ni muhimu", "اہمیت کی وجہ"),
    },
}

ARTICLE = "A line of the article.\nAnother line of it."
CODES = tuple(WORDS)
PACKS = {code: load_pack(LANGUAGES[code]) for code in CODES}
languages = pytest.mark.parametrize("code", CODES)
settings = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.label)
tasks = pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.code)


def written(pack: Pack, task: Task, setting: Setting) -> str:
    return build_cell_prompt(pack, pack, task, setting).fill(ARTICLE if task.needs_text else None).user


def last_line(prompt: str) -> str:
    return prompt.splitlines()[-1]


@tasks
@languages
def test_a_task_asks_its_items_in_every_language(code: str, task: Task) -> None:
    asked = PACKS[code].tasks[task.number]
    missing = [item for item, words in ITEMS[task.number].items() if words[CODES.index(code)] not in asked]
    assert not missing, asked


@tasks
@languages
def test_a_task_asks_nothing_that_the_originals_do_not_ask(code: str, task: Task) -> None:
    pack = PACKS[code]
    question = pack.examples[task.number].question
    assert question
    outside_quotations = re.sub(WORDS[code].quotation, "", question)
    for text in (pack.tasks[task.number], outside_quotations):
        assert not [word for word in WORDS[code].not_asked if word in text.lower()], text


@tasks
@settings
@languages
def test_the_parts_of_a_prompt_are_in_order(code: str, setting: Setting, task: Task) -> None:
    pack, words = PACKS[code], WORDS[code]
    question, answer, rationale, article, task_heading = words.headings
    example = pack.examples[task.number]
    parts = []
    if setting.shots:
        parts += [words.other_image, f"{question}\n{example.question}\n", f"\n{answer}\n{example.answer}\n"]
        parts += [f"\n{rationale}\n{example.rationale}\n"] if setting.rationales else []
    if task.needs_text:
        parts += [words.belonging, f"\n{article}\n<article>\n{ARTICLE}\n</article>\n"]
    prompt = written(pack, task, setting)
    parts += [f"\n{task_heading}\n{pack.tasks[task.number]}\n", last_line(prompt)]
    places = [prompt.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)
    assert prompt.endswith(f"{parts[-2]}\n{parts[-1]}")  # nothing stands between the task and the instruction


@settings
@languages
def test_an_example_says_that_it_is_about_something_else(code: str, setting: Setting) -> None:
    words = WORDS[code]
    for task in TASKS.values():
        note = written(PACKS[code], task, setting).splitlines()[0]
        shown = bool(setting.shots)
        assert (words.other_image in note, words.carry_nothing in note) == (shown, shown)
        assert (words.other_article in note) == (shown and task.needs_text)
    if setting.shots:  # one note for both settings
        other = Setting(shots=1, rationales=not setting.rationales)
        assert note == written(PACKS[code], task, other).splitlines()[0]


@tasks
@settings
@languages
def test_the_last_line_says_what_kind_of_answer_is_wanted(code: str, setting: Setting, task: Task) -> None:
    words = WORDS[code]
    _, answer, rationale, *_ = words.headings
    line = last_line(written(PACKS[code], task, setting))
    assert words.this_task in line
    assert (words.both in line) == task.needs_text
    if setting.rationales:
        assert 0 < line.index(answer) < line.index(rationale)
        assert all(line.index(rationale) < line.index(said) for said in words.at_length)
    else:
        assert answer not in line
        assert rationale not in line
        assert words.nothing_apart in line


@settings
@languages
def test_the_language_is_said_twice_and_never_as_the_only_one(code: str, setting: Setting) -> None:
    words, pack = WORDS[code], PACKS[code]
    assert pack.system.count(words.name) == 1
    assert not re.search(words.only, pack.system)
    for task in TASKS.values():
        prompt = written(pack, task, setting)
        assert prompt.count(words.name) == last_line(prompt).count(words.name) == 1
        around = last_line(prompt).replace(words.this_task, "")
        assert not re.search(words.only, around)


@tasks
@settings
@languages
def test_the_sandbox_finds_language_article_and_last_line(code: str, setting: Setting, task: Task) -> None:
    pack = PACKS[code]
    prompt = written(pack, task, setting)
    assert language_of(pack.system) == pack.language.name
    article, around = split_article(prompt)
    assert article == (ARTICLE if task.needs_text else "")
    assert around[-1] == last_line(prompt)


@tasks
def test_an_example_says_the_same_in_every_language(task: Task) -> None:
    answers = {code: PACKS[code].examples[task.number].answer.splitlines() for code in CODES}
    assert len({len(lines) for lines in answers.values()}) == 1
    for code in CODES:  # the years and numbers of the excerpt
        question, english = PACKS[code].examples[task.number].question, PACKS["En"].examples[task.number].question
        assert question
        assert english
        assert re.findall(r"\d{4}", question) == re.findall(r"\d{4}", english)


@pytest.mark.parametrize("number", [6, 7])
@languages
def test_an_example_quotes_its_article_word_for_word(code: str, number: int) -> None:
    example, quotation = PACKS[code].examples[number], WORDS[code].quotation
    assert example.question
    lines = example.answer.splitlines()
    quoted = [re.search(quotation, line) for line in lines]
    for match in quoted:
        assert match
        for piece in match[1].split(" ... "):
            assert piece in example.question


@languages
def test_every_place_of_the_example_is_in_one_of_three(code: str) -> None:
    article, picture, both = WORDS[code].places
    values = []
    for line in PACKS[code].examples[8].answer.splitlines():
        place, _, said = line.replace("：", ": ").partition(": ")
        assert len(re.split(r"[,、،]", place)) == 1
        values.append(re.split(r"[.。۔]", said)[0])
    assert values == [article] * 5 + [both, picture]


@languages
def test_the_example_of_a_caption_is_a_narrative(code: str) -> None:
    answer = PACKS[code].examples[5].answer
    assert "\n" not in answer
    if code == "Jp":
        assert 300 <= len(answer) <= 400
    else:
        assert 120 <= len(answer.split()) <= 160


def test_every_language_has_words_for_every_item() -> None:
    assert set(WORDS) == set(LANGUAGES)
    assert set(ITEMS) == set(TASKS)
