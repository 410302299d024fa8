"""Names of objects: which are known, and which mean the same."""

from __future__ import annotations

import re

COCO = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,street sign,stop sign,"
    "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,hat,backpack,umbrella,shoe,"
    "eye glasses,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,"
    "surfboard,tennis racket,bottle,plate,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,"
    "carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,mirror,dining table,window,desk,toilet,door,tv,"
    "laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,blender,book,clock,vase,scissors,"
    "teddy bear,hair drier,toothbrush"
)
"""What the detector of the benchmark's metadata knows: https://huggingface.co/facebook/detr-resnet-50"""
CITYSCAPES = (
    "road,sidewalk,building,wall,fence,pole,traffic light,traffic sign,vegetation,terrain,sky,person,rider,car,truck,"
    "bus,train,motorcycle,bicycle"
)
"""What its segmentation knows: https://www.cityscapes-dataset.com/dataset-overview/#class-definitions"""
KNOWN = frozenset(COCO.split(",")) | frozenset(CITYSCAPES.split(","))

SAME = {
    **dict.fromkeys(("tree", "plant", "bush", "hedge", "foliage", "greenery", "shrub"), "vegetation"),
    **dict.fromkeys(("people", "pedestrian", "man", "men", "woman", "women", "human", "child", "children"), "person"),
    **dict.fromkeys(("house", "skyscraper", "tower", "office"), "building"),
    **dict.fromkeys(("automobile", "sedan", "suv", "taxi"), "car"),
    **{"bike": "bicycle", "motorbike": "motorcycle", "pavement": "sidewalk", "street": "road", "lamp post": "pole"},
}
"""Other words for the same thing. Things that only resemble each other, as a car and a bus, stay apart."""

ARTICLES = re.compile(r"^(?:it is |it's |this is |that is |they are )?(?:an? |the |some |one )?")
EDGES = " \t\r\n.,;:!?\"'()[]-"
_WORD = re.compile(r"[\w'-]+")


def same_thing(name: str) -> str:
    """A name by which two that mean the same are equal: `trees` and `vegetation`."""
    name = ARTICLES.sub("", name.strip(EDGES))
    for form in (name, name.removesuffix("es"), name.removesuffix("s")):
        if form in SAME:
            return SAME[form]
        if form in KNOWN:
            return form
    return name.removesuffix("s")


def is_head(phrase: str, name: str) -> bool:
    """Whether a normalised phrase is about this thing, or about another word that means the same: `red cars on the
    street` is about a car, `car park` and `people near the car` are not."""
    wanted = same_thing(name.casefold())
    words = _WORD.findall(phrase)
    length = len(name.split())
    for at in range(min(MOST_ADJECTIVES + 1, len(words) - length + 1)):
        if any(word in _NO_ADJECTIVE or word.isdigit() for word in words[:at]):
            return False
        if wanted and same_thing(" ".join(words[at : at + length])) == wanted:
            return at + length == len(words) or _goes_on(words[at + length])
    return False


def _goes_on(word: str) -> bool:
    """Whether a word can follow a noun without making another one of it, as `stop` does of `bus`."""
    return word in _FOLLOWERS or (word.endswith(("ing", "ed")) and word not in _NOUNS_IN_ING)


MOST_ADJECTIVES = 3
_PLACE_WORDS = (
    "in on at near next behind beside by with along under over around between among from across inside outside within "
    "to toward towards against of for"
)
_PLACES = frozenset(_PLACE_WORDS.split())
_NO_ADJECTIVE = _PLACES | frozenset(
    ("a", "an", "the", "is", "are", "that", "which", "who", "one", "two", "three", "more", "less", "fewer")
)
_OTHER_FOLLOWERS = (
    "that which who is are can and or visible present here there nearby parked seen shown anywhere either not at all "
    "too also so as because only whatsoever"
)
_FOLLOWERS = _PLACES | frozenset(_OTHER_FOLLOWERS.split())
_NOUNS_IN_ING = frozenset(("parking", "crossing", "building", "railing", "sharing", "charging"))
