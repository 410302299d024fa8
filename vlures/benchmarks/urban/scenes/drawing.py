"""Draws a street, and beside the picture what is at each of its pixels: which class, which thing, how far away.

A pinhole camera looks along the road: a point x metres to the right of it, y metres above the ground and z metres away
is at column S/2 + f·x/z and row h + f·(E - y)/z of a square image of S pixels, with the focal length f and the horizon
h in pixels and the camera E metres above the ground.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from vlures.benchmarks.urban.scenes.street import FACADE_M, KERB_M, ROAD_M, Side, Street, Thing, ThingKind

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from PIL.ImageDraw import ImageDraw

PixelClass = Literal["sky", "road", "sidewalk", "vegetation", "building", "car", "person", "bus", "bench", "light"]
CLASSES: tuple[PixelClass, ...] = get_args(PixelClass)
CLASS_OF: dict[ThingKind, PixelClass] = {
    "car": "car",
    "person": "person",
    "tree": "vegetation",
    "bus": "bus",
    "bench": "bench",
    "traffic light": "light",
}

FOCAL = 0.8
"""As a share of the image's side."""
EYE_M = 1.6
SKY_M = 0.0
"""The depth of the sky, which has none."""

Colour = tuple[int, int, int]
Points = Sequence[tuple[float, float]]

SKY: Colour = (168, 205, 240)
ROAD: Colour = (96, 98, 104)
LINE: Colour = (222, 222, 214)
PAVEMENT: Colour = (176, 172, 164)
GRASS: Colour = (120, 168, 84)
HEDGE: Colour = (62, 116, 58)
WINDOW: Colour = (74, 92, 112)
FACADES: tuple[Colour, ...] = ((196, 150, 122), (208, 190, 160), (150, 142, 150), (178, 112, 96))
CARS: tuple[Colour, ...] = ((190, 40, 44), (36, 70, 150), (232, 232, 232), (40, 40, 44))
COATS: tuple[Colour, ...] = ((220, 120, 30), (60, 60, 140), (160, 40, 120), (24, 120, 120))
CROWNS: tuple[Colour, ...] = ((48, 128, 52), (84, 142, 48), (36, 104, 64))
SKIN: Colour = (226, 184, 150)
TRUNK: Colour = (104, 74, 48)
GLASS: Colour = (150, 190, 214)
TYRE: Colour = (24, 24, 26)
WOOD: Colour = (150, 104, 60)


@dataclass(frozen=True, slots=True)
class _Ink:
    """What a shape leaves in each layer."""

    colour: Colour
    kind: PixelClass
    depth_m: float
    thing: int = 0


_Fill = Colour | float


@dataclass(frozen=True, slots=True)
class Drawn:
    """A street as pixels."""

    picture: Picture
    classes: Picture
    """The index in CLASSES at each pixel."""
    things: Picture
    """At each pixel the number, from 1, of the thing in Street.things that is seen there; 0 for none."""
    depths: Picture
    """Metres at each pixel; SKY_M where the sky is."""

    def png(self) -> bytes:
        buffer = io.BytesIO()
        self.picture.save(buffer, "PNG", optimize=True)
        return buffer.getvalue()


def draw_street(street: Street, size: int) -> Drawn:
    """size: the image's side in pixels."""
    canvas = _Canvas(size, street.horizon)
    _draw_ground(canvas, street)
    _draw_end(canvas, street)
    for sign, side, height in ((-1, street.left, street.left_height_m), (1, street.right, street.right_height_m)):
        _draw_side(canvas, sign, side, height, street)
    for number, thing in enumerate(street.things, 1):
        draw_thing(canvas, thing, number)
    return Drawn(canvas.picture, canvas.classes, canvas.things, canvas.depths)


def is_within(thing: Thing, size: int) -> bool:
    """Whether the image's left and right edges cut nothing off a thing. size: the image's side in pixels."""
    scale = FOCAL * size / thing.depth_m
    return scale * (abs(thing.x_m) + thing.width_m / 2) <= size / 2 - 1


def count_pixels(things: Sequence[Thing], size: int, horizon: float) -> list[int]:
    """How many pixels of each thing are seen, if these are all there are. They hide each other in their order."""
    outline = _Outline(size, horizon)
    for number, thing in enumerate(things, 1):
        draw_thing(outline, thing, number)
    return outline.things.histogram()[1 : len(things) + 1]


class _Outline:
    """Which thing is at each pixel, and nothing else: a fraction of a canvas's work."""

    def __init__(self, size: int, horizon: float) -> None:
        from PIL import Image, ImageDraw

        self.size = size
        self.horizon = horizon
        self.things = Image.new("L", (size, size), 0)
        self._layers: list[tuple[ImageDraw.ImageDraw, Callable[[_Ink], _Fill]]] = [
            (ImageDraw.Draw(self.things), lambda ink: ink.thing)
        ]

    def point(self, x_m: float, y_m: float, z_m: float) -> tuple[float, float]:
        scale = FOCAL * self.size / z_m
        return self.size / 2 + scale * x_m, self.horizon * self.size + scale * (EYE_M - y_m)

    def polygon(self, points: Points, ink: _Ink) -> None:
        for layer, fill_of in self._layers:
            layer.polygon(points, fill=fill_of(ink))

    def ellipse(self, box: tuple[float, float, float, float], ink: _Ink) -> None:
        for layer, fill_of in self._layers:
            layer.ellipse(box, fill=fill_of(ink))


class _Canvas(_Outline):
    """The picture and what is at its pixels, drawn with the same shapes."""

    def __init__(self, size: int, horizon: float) -> None:
        from PIL import Image, ImageDraw

        super().__init__(size, horizon)
        self.picture = Image.new("RGB", (size, size), SKY)
        self.classes = Image.new("L", (size, size), CLASSES.index("sky"))
        self.depths = Image.new("F", (size, size), SKY_M)
        self._paint, self._depth = ImageDraw.Draw(self.picture), ImageDraw.Draw(self.depths)
        self._layers += [
            (self._paint, lambda ink: ink.colour),
            (ImageDraw.Draw(self.classes), lambda ink: CLASSES.index(ink.kind)),
            (self._depth, lambda ink: ink.depth_m),
        ]

    def decorate(self, points: Points, colour: Colour) -> None:
        """Colour alone: a window belongs to its building."""
        self._paint.polygon(points, fill=colour)

    def depth_polygon(self, points: Points, depth_m: float) -> None:
        """Depth alone, for surfaces that recede."""
        self._depth.polygon(points, fill=depth_m)


def _draw_ground(canvas: _Canvas, street: Street) -> None:
    size, end = canvas.size, street.end_depth_m
    bands: tuple[tuple[float, Colour, PixelClass], ...] = (
        (1000.0, GRASS, "vegetation"),
        (KERB_M, PAVEMENT, "sidewalk"),
        (ROAD_M, ROAD, "road"),
    )
    first = int(canvas.horizon * size) + 1
    for row in range(first, size):
        depth = min(FOCAL * size * EYE_M / (row + 0.5 - canvas.horizon * size), end)
        for half, colour, kind in bands:
            (left, _), (right, _) = canvas.point(-half, 0, depth), canvas.point(half, 0, depth)
            left, right = max(left, -1.0), min(right, float(size))
            canvas.polygon([(left, row), (right, row)], _Ink(colour, kind, depth))
    for z in range(4, int(end) - 2, 4):
        canvas.decorate([canvas.point(x, 0, depth) for x, depth in _corners(-0.1, 0.1, z, z + 1.6)], LINE)


def _draw_end(canvas: _Canvas, street: Street) -> None:
    """What closes the street, over the whole width."""
    depth, height = street.end_depth_m, street.end_height_m
    half = canvas.size / 2 / (FOCAL * canvas.size) * depth + 1
    is_building = street.end == "building"
    colour = FACADES[street.shade % len(FACADES)] if is_building else HEDGE
    corners = [canvas.point(x, y, depth) for x, y in ((-half, 0), (-half, height), (half, height), (half, 0))]
    canvas.polygon(corners, _Ink(colour, "building" if is_building else "vegetation", depth))
    if is_building:
        for x in range(-int(half), int(half) + 1, 3):
            for y in range(1, int(height) - 1, 3):
                window = ((x, y), (x, y + 1.6), (x + 1.4, y + 1.6), (x + 1.4, y))
                canvas.decorate([canvas.point(column, row, depth) for column, row in window], WINDOW)


def _draw_side(canvas: _Canvas, sign: int, side: Side, height_m: float, street: Street) -> None:
    """The row of buildings, or the hedge, along one side."""
    if side == "meadow":
        return
    height = height_m if side == "building" else min(height_m / 4, 3.5)
    near, far, x = 3.0, street.end_depth_m, sign * FACADE_M
    colour = FACADES[(street.shade + 1 + (sign > 0)) % len(FACADES)] if side == "building" else HEDGE
    kind: PixelClass = "building" if side == "building" else "vegetation"
    corners = [canvas.point(x, y, z) for y, z in ((0, near), (height, near), (height, far), (0, far))]
    canvas.polygon(corners, _Ink(colour, kind, far))
    for piece in _slices(near, far):
        canvas.depth_polygon(
            [canvas.point(x, y, z) for y, z in ((0, piece[0]), (height, piece[0]), (height, piece[1]), (0, piece[1]))],
            sum(piece) / 2,
        )
    if side == "building":
        for z in range(5, int(far) - 2, 4):
            for y in range(1, int(height) - 1, 3):
                window = ((y, z), (y + 1.6, z), (y + 1.6, z + 1.8), (y, z + 1.8))
                canvas.decorate([canvas.point(x, row, depth) for row, depth in window], WINDOW)


def _slices(near: float, far: float) -> Iterator[tuple[float, float]]:
    """Pieces of a receding surface, thin enough that the depth within one hardly differs. From far to near."""
    z = far
    while z > near:
        nearer = max(near, z / 1.02)
        yield nearer, z
        z = nearer


def _corners(left: float, right: float, near: float, far: float) -> Iterable[tuple[float, float]]:
    return (left, near), (left, far), (right, far), (right, near)


def draw_thing(canvas: _Outline, thing: Thing, number: int) -> None:
    """number: marks its pixels."""
    pen = _Pen(canvas, thing, number)
    match thing.kind:
        case "car":
            colour = CARS[thing.shade % len(CARS)]
            pen.box(-0.5, 0.5, 0.12, 0.65, colour)
            pen.box(-0.4, 0.4, 0.6, 1.0, colour)
            pen.box(-0.34, 0.34, 0.66, 0.92, GLASS)
            pen.box(-0.46, -0.28, 0.0, 0.2, TYRE)
            pen.box(0.28, 0.46, 0.0, 0.2, TYRE)
        case "bus":
            pen.box(-0.5, 0.5, 0.06, 1.0, CARS[thing.shade % 2])
            pen.box(-0.42, 0.42, 0.48, 0.86, GLASS)
            pen.box(-0.44, -0.24, 0.0, 0.1, TYRE)
            pen.box(0.24, 0.44, 0.0, 0.1, TYRE)
        case "person":
            pen.box(-0.28, -0.04, 0.0, 0.5, CARS[3])
            pen.box(0.04, 0.28, 0.0, 0.5, CARS[3])
            pen.box(-0.42, 0.42, 0.45, 0.84, COATS[thing.shade % len(COATS)])
            pen.oval(-0.26, 0.26, 0.82, 1.0, SKIN)
        case "tree":
            pen.box(-0.07, 0.07, 0.0, 0.5, TRUNK)
            pen.oval(-0.5, 0.5, 0.38, 1.0, CROWNS[thing.shade % len(CROWNS)])
        case "bench":
            pen.box(-0.5, 0.5, 0.4, 0.55, WOOD)
            pen.box(-0.5, 0.5, 0.7, 1.0, WOOD)
            pen.box(-0.45, -0.35, 0.0, 0.7, TYRE)
            pen.box(0.35, 0.45, 0.0, 0.7, TYRE)
        case "traffic light":
            pen.box(-0.12, 0.12, 0.0, 0.7, TYRE)
            pen.box(-0.5, 0.5, 0.7, 1.0, TYRE)
            for low, colour in ((0.91, (220, 40, 40)), (0.82, (230, 190, 40)), (0.73, (50, 190, 70))):
                pen.oval(-0.3, 0.3, low, low + 0.07, colour)


@dataclass(frozen=True, slots=True)
class _Pen:
    """Draws parts of a thing, in shares of its width and height."""

    canvas: _Outline
    thing: Thing
    number: int

    def box(self, left: float, right: float, low: float, high: float, colour: Colour) -> None:
        corners = [self._point(x, y) for x, y in _corners(left, right, low, high)]
        self.canvas.polygon(corners, self._ink(colour))

    def oval(self, left: float, right: float, low: float, high: float, colour: Colour) -> None:
        (x0, y0), (x1, y1) = self._point(left, high), self._point(right, low)
        self.canvas.ellipse((x0, y0, x1, y1), self._ink(colour))

    def _ink(self, colour: Colour) -> _Ink:
        return _Ink(colour, CLASS_OF[self.thing.kind], self.thing.depth_m, self.number)

    def _point(self, across: float, up: float) -> tuple[float, float]:
        thing = self.thing
        return self.canvas.point(thing.x_m + across * thing.width_m, up * thing.height_m, thing.depth_m)
