"""The sentences of the sandbox's answers in the four languages, and the common words that do not count as repeated.

Each kind of sentence has two wordings, so that answers to different requests differ; the request's digest picks one.
"""

from dataclasses import dataclass

from vlures.sandbox.answers.questions import Language


@dataclass(frozen=True)
class Phrases:
    """One language's wordings; the names in braces are filled in."""

    mark: str
    size: tuple[str, str]
    landscape: str
    portrait: str
    square: str
    one_colour: tuple[str, str]
    colours: tuple[str, str]
    brightness: tuple[str, str]
    even: tuple[str, str]
    no_image: str
    article: tuple[str, str]
    one_repeated: tuple[str, str]
    repeated: tuple[str, str]
    ending: tuple[str, str]
    refusal: str
    joint: str
    last_joint: str
    quoted: str
    glue: str
    regions: tuple[str, str, str, str, str, str, str, str, str]
    colour_names: dict[str, str]
    common_words: frozenset[str]


_COMMON_ENGLISH = """
about after also among been before being between both could down each even first four from have having here into
just later less like made make many more most much must never only other over same several since some still such
than that their them then there these they this those three through today under until upon very were what when
where which while whose will with within without would years your
"""
_COMMON_JAPANESE = """
一方 今日 以上 以下 場合 時代 現在
"""
_COMMON_SWAHILI = """
alikuwa ambacho ambao ambapo ambaye ambayo ambazo baada bila hadi hapo hasa hata hicho hivyo hiyo hizo huku
ikiwa ilikuwa kama katika kila kisha kuhusu kutoka kuwa kwamba kwani kwenye lakini mara mbali mbele miaka mwaka
ndani nyingi pamoja pekee pia sana sasa tangu wakati wake walikuwa watu wengi yake yenye yote zaidi zake zote
"""
_COMMON_URDU = """
اس اسی ان انھوں انھیں انہوں انہیں اور اپنا اپنی اپنے ایک بعد بھی بہت تو تک تھا تھی تھیں تھے تین جا جاتا جاتی
جاتے جب جس جن جو جہاں جیسے دو دی دیا دیتے رہا رہی رہے زیادہ ساتھ سے صرف طرح طور لیکن لیے مگر میں نہ نہیں نے والا
والی والے وقت وہ وہاں پر پھر پہلا پہلی پہلے کا کر کرتا کرتی کرتے کرنے کسی کو کوئی کی کیا کے گئی گئے گیا ہو ہوئی
ہوئے ہوا ہوتا ہوتی ہوتے ہوں ہی ہیں ہے یا یعنی یہ یہاں
"""

ENGLISH = Phrases(
    mark="[sandbox] Synthetic answer.",
    size=(
        "The picture measures {width} by {height} pixels and is in {orientation} format.",
        "This is a {orientation} picture, {width} pixels wide and {height} pixels high.",
    ),
    landscape="landscape",
    portrait="portrait",
    square="square",
    one_colour=("One colour dominates it: {colours}.", "Nearly all of it is {colours}."),
    colours=("Its dominant colours are {colours}.", "Most of it is {colours}."),
    brightness=(
        "It is lightest {lightest} and darkest {darkest}.",
        "The light gathers {lightest}, while the deepest shadow lies {darkest}.",
    ),
    even=("Its brightness is the same throughout.", "No part of it is lighter than the rest."),
    no_image="No picture came with the request.",
    article=(
        "The article runs to {count} words and begins {first}.",
        "An article of {count} words comes with it, opening with {first}.",
    ),
    one_repeated=("The word it repeats most is {words}.", "One word returns again and again: {words}."),
    repeated=("The words it repeats most are {words}.", "Some words return again and again: {words}."),
    ending=("The last line of the request begins {ending}.", "What was asked ends with the line {ending}."),
    refusal="I'm sorry, but I can't help with that.",
    joint=", ",
    last_joint=" and ",
    quoted="“{}”",
    glue=" ",
    regions=(
        "at the top left",
        "at the top",
        "at the top right",
        "on the left",
        "in the middle",
        "on the right",
        "at the bottom left",
        "at the bottom",
        "at the bottom right",
    ),
    colour_names={
        "black": "black",
        "white": "white",
        "grey": "grey",
        "red": "red",
        "orange": "orange",
        "yellow": "yellow",
        "green": "green",
        "blue": "blue",
        "turquoise": "turquoise",
        "purple": "purple",
        "pink": "pink",
        "brown": "brown",
        "beige": "beige",
    },
    common_words=frozenset(_COMMON_ENGLISH.split()),
)

JAPANESE = Phrases(
    mark="[sandbox] これは合成された回答です。",
    size=(
        "画像の大きさは{width}×{height}ピクセルで、{orientation}です。",
        "幅{width}ピクセル、高さ{height}ピクセルの{orientation}の画像です。",
    ),
    landscape="横長",
    portrait="縦長",
    square="正方形",
    one_colour=("画面のほとんどを{colours}が占めています。", "目立つ色は{colours}だけです。"),
    colours=("主な色は{colours}です。", "色としては{colours}が目立ちます。"),
    brightness=(
        "最も明るいのは{lightest}、最も暗いのは{darkest}です。",
        "{lightest}が最も明るく、{darkest}が最も暗くなっています。",
    ),
    even=("明るさは画面全体でほぼ均一です。", "明るさに目立った違いは見られません。"),
    no_image="この依頼には画像が添えられていません。",
    article=(
        "記事は{count}文字で、{first}という書き出しです。",
        "添えられた記事は{count}文字あり、{first}と始まります。",
    ),
    one_repeated=("記事の中で最も多く使われている言葉は{words}です。", "記事では{words}という言葉が繰り返されます。"),
    repeated=("記事の中で特に多く使われている言葉は{words}です。", "記事では{words}といった言葉が繰り返されます。"),
    ending=("依頼文の最後の行は{ending}と始まっています。", "依頼文は、{ending}という書き出しの行で終わっています。"),
    refusal="申し訳ありませんが、そのご依頼にはお応えできません。",
    joint="、",
    last_joint="、",
    quoted="「{}」",
    glue="",
    regions=("左上", "上部中央", "右上", "左側", "中央", "右側", "左下", "下部中央", "右下"),
    colour_names={
        "black": "黒",
        "white": "白",
        "grey": "灰色",
        "red": "赤",
        "orange": "オレンジ色",
        "yellow": "黄色",
        "green": "緑",
        "blue": "青",
        "turquoise": "青緑",
        "purple": "紫",
        "pink": "ピンク",
        "brown": "茶色",
        "beige": "ベージュ",
    },
    common_words=frozenset(_COMMON_JAPANESE.split()),
)

SWAHILI = Phrases(
    mark="[sandbox] Hili ni jibu bandia la majaribio.",
    size=(
        "Picha ina upana wa pikseli {width} na urefu wa pikseli {height}, na {orientation}.",
        "Hii ni picha ya pikseli {width} kwa {height}, na {orientation}.",
    ),
    landscape="ina umbo la mlalo",
    portrait="ina umbo la wima",
    square="ina umbo la mraba",
    one_colour=("Rangi moja tu inatawala picha: {colours}.", "Karibu picha yote ni ya {colours}."),
    colours=("Zinazotawala ni {colours}.", "Zinazoonekana zaidi ni {colours}."),
    brightness=(
        "Sehemu yenye mwanga zaidi ni {lightest}, na yenye giza zaidi ni {darkest}.",
        "Mwanga ni mwingi zaidi {lightest}, huku giza likiwa zito zaidi {darkest}.",
    ),
    even=("Mwanga umeenea sawasawa katika picha yote.", "Hakuna sehemu yenye mwanga zaidi kuliko nyingine."),
    no_image="Ombi hili halikuja na picha yoyote.",
    article=(
        "Makala yana maneno {count} na yanaanza kwa {first}.",
        "Ombi linaambatana na makala ya maneno {count}, yanayoanza kwa {first}.",
    ),
    one_repeated=("Neno linalojirudia zaidi katika makala ni {words}.", "Makala yanarudia mara nyingi neno {words}."),
    repeated=("Maneno yanayojirudia zaidi katika makala ni {words}.", "Makala yanarudia mara nyingi maneno {words}."),
    ending=("Mstari wa mwisho wa ombi unaanza kwa {ending}.", "Ombi linamalizika kwa mstari unaoanza na {ending}."),
    refusal="Samahani, siwezi kusaidia katika ombi hili.",
    joint=", ",
    last_joint=" na ",
    quoted="“{}”",
    glue=" ",
    regions=(
        "juu kushoto",
        "juu katikati",
        "juu kulia",
        "upande wa kushoto",
        "katikati",
        "upande wa kulia",
        "chini kushoto",
        "chini katikati",
        "chini kulia",
    ),
    colour_names={
        "black": "rangi nyeusi",
        "white": "rangi nyeupe",
        "grey": "rangi ya kijivu",
        "red": "rangi nyekundu",
        "orange": "rangi ya machungwa",
        "yellow": "rangi ya njano",
        "green": "rangi ya kijani",
        "blue": "rangi ya buluu",
        "turquoise": "rangi ya feruzi",
        "purple": "rangi ya zambarau",
        "pink": "rangi ya waridi",
        "brown": "rangi ya kahawia",
        "beige": "rangi ya mchanga",
    },
    common_words=frozenset(_COMMON_SWAHILI.split()),
)

URDU = Phrases(
    mark="[sandbox] یہ ایک مصنوعی جواب ہے۔",
    size=(
        "تصویر {width} پکسل چوڑی اور {height} پکسل اونچی ہے اور {orientation}۔",
        "اس تصویر کی چوڑائی {width} پکسل اور اونچائی {height} پکسل ہے، یعنی {orientation}۔",
    ),
    landscape="اس کا رخ افقی ہے",
    portrait="اس کا رخ عمودی ہے",
    square="اس کی شکل مربع ہے",
    one_colour=("اس میں ایک ہی رنگ نمایاں ہے: {colours}۔", "تقریباً پوری تصویر کا رنگ {colours} ہے۔"),
    colours=("اس کے نمایاں رنگ {colours} ہیں۔", "اس میں زیادہ تر {colours} رنگ دکھائی دیتے ہیں۔"),
    brightness=(
        "سب سے زیادہ روشنی {lightest} ہے اور سب سے زیادہ اندھیرا {darkest}۔",
        "تصویر {lightest} سب سے روشن اور {darkest} سب سے تاریک ہے۔",
    ),
    even=("پوری تصویر میں روشنی یکساں ہے۔", "تصویر کا کوئی حصہ باقی سے زیادہ روشن نہیں۔"),
    no_image="اس درخواست کے ساتھ کوئی تصویر نہیں آئی۔",
    article=(
        "مضمون {count} الفاظ پر مشتمل ہے اور {first} سے شروع ہوتا ہے۔",
        "ساتھ دیے گئے مضمون میں {count} الفاظ ہیں اور اس کا آغاز {first} سے ہوتا ہے۔",
    ),
    one_repeated=("مضمون میں سب سے زیادہ دہرایا گیا لفظ {words} ہے۔", "مضمون میں لفظ {words} بار بار آتا ہے۔"),
    repeated=("مضمون میں سب سے زیادہ دہرائے گئے الفاظ {words} ہیں۔", "مضمون میں {words} جیسے الفاظ بار بار آتے ہیں۔"),
    ending=(
        "درخواست کی آخری سطر {ending} سے شروع ہوتی ہے۔",
        "درخواست اس سطر پر ختم ہوتی ہے جو {ending} سے شروع ہوتی ہے۔",
    ),
    refusal="معذرت، میں اس درخواست میں مدد نہیں کر سکتا۔",
    joint="، ",
    last_joint=" اور ",
    quoted="”{}“",
    glue=" ",
    regions=(
        "اوپر بائیں جانب",
        "اوپر درمیان میں",
        "اوپر دائیں جانب",
        "بائیں جانب",
        "درمیان میں",
        "دائیں جانب",
        "نیچے بائیں جانب",
        "نیچے درمیان میں",
        "نیچے دائیں جانب",
    ),
    colour_names={
        "black": "سیاہ",
        "white": "سفید",
        "grey": "سرمئی",
        "red": "سرخ",
        "orange": "نارنجی",
        "yellow": "پیلا",
        "green": "سبز",
        "blue": "نیلا",
        "turquoise": "فیروزی",
        "purple": "جامنی",
        "pink": "گلابی",
        "brown": "بھورا",
        "beige": "بادامی",
    },
    common_words=frozenset(_COMMON_URDU.split()),
)

PHRASES: dict[Language, Phrases] = {
    "English": ENGLISH,
    "Japanese": JAPANESE,
    "Swahili": SWAHILI,
    "Urdu": URDU,
}


def marked_language(text: str) -> Language | None:
    """The language of a sandbox's answer, by its mark; None for any other text."""
    return next((language for language, phrases in PHRASES.items() if phrases.mark in text), None)


def bears_mark(text: str) -> bool:
    """Whether a text says of itself that it is a sandbox's answer. Refusals and answers cut off at once do not."""
    return marked_language(text) is not None
