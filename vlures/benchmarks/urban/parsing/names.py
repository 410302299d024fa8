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


def names_thing(text: str, name: str) -> bool:
    """Whether a normalised text names this thing, or says it in another word that means the same."""
    wanted = same_thing(name.casefold())
    words = _WORD.findall(text)
    length = len(name.split())
    return bool(wanted) and any(
        same_thing(" ".join(words[at : at + length])) == wanted for at in range(len(words) - length + 1)
    )
