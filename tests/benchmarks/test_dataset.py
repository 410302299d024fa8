"""A folder becomes samples: pairing by ID, everything wrong named with its reason, nothing guessed."""

import random
from pathlib import Path, PosixPath

import pytest
from PIL import Image as Pillow

from tests.benchmarks.loading import benchmark_of
from vlures.benchmarks.vlures.dataset import load_dataset
from vlures.benchmarks.vlures.samples import Dataset
from vlures.benchmarks.vlures.settings import make_cell, parse_cell
from vlures.errors import VluresError

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
GIF = b"GIF87a\x01\0\x01\0\x80\0\0\0\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x08\x04\0\x01\x04\x04\0;"


def fill(folder: Path, names: str) -> Path:
    """Put small sound files of these names, parted by spaces, into the folder; a text says its own name."""
    folder.mkdir(exist_ok=True)
    for name in names.split():
        path = folder / name
        if kind := FORMATS.get(path.suffix.lower()):
            Pillow.new("RGB", (6, 4), (len(name), 0, 0)).save(path, kind)
        else:
            path.write_text(f"text of {name}", encoding="utf-8")
    return folder


def pairs(dataset: Dataset) -> dict[int, tuple[str, str | None]]:
    """{ID: (image's file name, text)}"""
    return {sample.id: (sample.image.path.name, sample.text) for sample in dataset.samples}


def complaints(dataset: Dataset) -> list[tuple[str, set[str]]]:
    return [(problem.severity, set(problem.files)) for problem in dataset.problems]


@pytest.mark.parametrize(
    ("names", "number"),
    [
        ("image1.jpg text1.txt", 1),
        ("photo_002.png text_002.txt", 2),
        ("7.webp 7.txt", 7),
        ("image3.jpeg 003.text", 3),
        ("IMAGE4.JPG text4.TEXT", 4),
        ("image5.JPEG Text_05.Txt", 5),
        ("pic-6.WEBP 6.txt", 6),
        ("0.PNG text000.txt", 0),
        ("写真8.png 文章8.txt", 8),
        ("v9.final.jpg article9.txt", 9),
        ("image000000000000000000010.jpg 10.txt", 10),
    ],
)
def test_image_and_text_are_paired_by_the_number_in_their_names(tmp_path: Path, names: str, number: int) -> None:
    dataset = load_dataset(fill(tmp_path, names))
    image, text = names.split()
    assert pairs(dataset) == {number: (image, f"text of {text}")}
    assert dataset.problems == ()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("photo.jpg", "no number in its name"),
        ("article.txt", "no number in its name"),
        ("2024_photo_3.jpg", "2 separate numbers in its name (2024, 3)"),
        ("text1-2-3.txt", "3 separate numbers in its name (1, 2, 3)"),
        ("image1234567890123456.png", "more than 15 digits"),
    ],
)
def test_a_name_without_exactly_one_number_is_an_error(tmp_path: Path, name: str, reason: str) -> None:
    dataset = load_dataset(fill(tmp_path, f"image1.jpg {name}"))
    [problem] = dataset.errors
    assert problem.files == (name,)
    assert reason in problem.reason
    assert set(pairs(dataset)) == {1}


@pytest.mark.parametrize(
    ("names", "doubled", "kept"),
    [
        ("image1.jpg photo_01.png text1.txt", {"image1.jpg", "photo_01.png"}, {}),
        ("image1.jpg image1.png image1.txt", {"image1.jpg", "image1.png"}, {}),
        ("image1.jpg text1.txt text_001.txt", {"text1.txt", "text_001.txt"}, {1: ("image1.jpg", None)}),
        ("1.jpg 1.txt 1.text", {"1.txt", "1.text"}, {1: ("1.jpg", None)}),
    ],
)
def test_two_files_with_one_id_are_an_error_that_names_both(
    tmp_path: Path, names: str, doubled: set[str], kept: dict[int, tuple[str, str | None]]
) -> None:
    dataset = load_dataset(fill(tmp_path, names))
    assert complaints(dataset) == [("error", doubled)]
    assert "with the one ID 1" in dataset.errors[0].reason
    assert pairs(dataset) == kept


def test_two_whole_pairs_with_one_id_are_both_an_error(tmp_path: Path) -> None:
    dataset = load_dataset(fill(tmp_path, "image1.jpg photo1.png image1.txt photo1.txt"))
    assert dataset.samples == ()
    assert complaints(dataset) == [("error", {"image1.jpg", "photo1.png"}), ("error", {"image1.txt", "photo1.txt"})]


@pytest.mark.parametrize(
    ("names", "pair", "aside"),
    [
        ("image1.jpg image1.txt text1.txt", ("image1.jpg", "text of image1.txt"), {"text1.txt"}),
        ("image1.jpg photo_1.png photo_1.txt", ("photo_1.png", "text of photo_1.txt"), {"image1.jpg"}),
        ("a1.jpg b1.jpg a1.txt c1.txt d1.txt", ("a1.jpg", "text of a1.txt"), {"b1.jpg", "c1.txt", "d1.txt"}),
    ],
)
def test_the_same_stem_settles_it_and_what_is_left_aside_is_noted(
    tmp_path: Path, names: str, pair: tuple[str, str], aside: set[str]
) -> None:
    dataset = load_dataset(fill(tmp_path, names))
    assert pairs(dataset) == {1: pair}
    assert complaints(dataset) == [("note", aside)]


def test_a_text_without_an_image_is_an_error(tmp_path: Path) -> None:
    dataset = load_dataset(fill(tmp_path, "image1.jpg text1.txt text_002.txt"))
    assert complaints(dataset) == [("error", {"text_002.txt"})]
    assert "without an image" in dataset.errors[0].reason
    assert set(pairs(dataset)) == {1}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"no picture at all", "cannot be opened as an image"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "cannot be opened as an image"),
        (GIF, "is really a GIF"),
    ],
)
def test_a_broken_image_keeps_its_sample_out_and_is_named_with_its_text(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    fill(tmp_path, "image1.jpg text1.txt text2.txt")
    (tmp_path / "image2.jpg").write_bytes(data)
    dataset = load_dataset(tmp_path)
    assert complaints(dataset) == [("error", {"image2.jpg", "text2.txt"})]
    assert reason in dataset.errors[0].reason
    assert set(pairs(dataset)) == {1}


@pytest.mark.parametrize("name", ["image2.jpg", "text2.txt"])
def test_a_folder_or_a_dead_link_with_a_files_name_is_an_error(tmp_path: Path, name: str) -> None:
    fill(tmp_path, "image1.jpg")
    (tmp_path / name).mkdir()
    (tmp_path / f"dead{name}").symlink_to(tmp_path / "nowhere")
    assert complaints(load_dataset(tmp_path)) == [("error", {f"dead{name}"}), ("error", {name})]


TEXT_CASES = {
    "plain": (b"Kahawa na chai", "Kahawa na chai"),
    "byte order mark": (b"\xef\xbb\xbf" + "کافی".encode(), "کافی"),
    "line breaks of Windows": (b"one\r\ntwo\r\n\r\nthree\r\n", "one\ntwo\n\nthree"),
    "blank ends": (b"\n\n  one\n two \n\n", "one\n two"),
    "unicode line separators": ("一\u2028二\u0085三".encode(), "一\u2028二\u0085三"),
}


@pytest.mark.parametrize(("data", "text"), TEXT_CASES.values(), ids=TEXT_CASES)
def test_a_text_is_read_as_utf_8(tmp_path: Path, data: bytes, text: str) -> None:
    fill(tmp_path, "image1.jpg")
    (tmp_path / "text1.txt").write_bytes(data)
    dataset = load_dataset(tmp_path)
    assert dataset.problems == ()
    assert dataset.samples[0].text == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("café".encode("latin-1"), "not UTF-8 (byte 3)"),
        ("two words".encode("utf-16"), "is UTF-16"),
        (b"", "is empty"),
        (b" \r\n\t\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
    ],
)
def test_an_unreadable_or_empty_text_is_an_error_and_its_image_goes_without(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    fill(tmp_path, "image1.jpg")
    (tmp_path / "text1.txt").write_bytes(data)
    dataset = load_dataset(tmp_path)
    assert complaints(dataset) == [("error", {"text1.txt"})]
    assert reason in dataset.errors[0].reason
    assert pairs(dataset) == {1: ("image1.jpg", None)}


def test_latin_1_is_read_where_the_configuration_says_so(tmp_path: Path) -> None:
    fill(tmp_path, "image1.jpg")
    (tmp_path / "text1.txt").write_bytes("Café à côté".encode("latin-1"))
    assert load_dataset(tmp_path, "latin-1").samples[0].text == "Café à côté"


def test_other_files_are_no_error_and_are_named(tmp_path: Path) -> None:
    fill(tmp_path, "image1.jpg SOURCES.md notes.csv .hidden2.jpg ._image1.jpg")
    (tmp_path / "more").mkdir()
    dataset = load_dataset(tmp_path)
    assert set(pairs(dataset)) == {1}
    assert complaints(dataset) == [
        ("note", {"SOURCES.md", "notes.csv"}),
        ("note", {"more"}),
        ("note", {".hidden2.jpg", "._image1.jpg"}),
    ]


@pytest.mark.parametrize(("make", "reason"), [(False, "does not exist"), (True, "has no images")])
def test_a_folder_that_is_missing_or_empty_stops_the_run(tmp_path: Path, make: bool, reason: str) -> None:
    folder = tmp_path / "photos"
    if make:
        folder.mkdir()
    with pytest.raises(VluresError, match=rf"photos {reason}.*--dataset"):
        load_dataset(folder)


class Backwards(PosixPath):
    """A folder that lists its files from the last to the first."""

    def iterdir(self):  # type: ignore[no-untyped-def]
        return iter(sorted(super().iterdir(), reverse=True))


def test_the_order_of_listing_and_of_making_decides_nothing(tmp_path: Path) -> None:
    names = [
        "image1.jpg",
        "text1.txt",
        "photo_002.png",
        "text_002.txt",
        "image10.jpg",
        "a3.jpg",
        "b3.jpg",
        "a3.txt",
        "c4.jpg",
        "d4.png",
        "e4.txt",
        "image5.jpg",
        "f5.txt",
        "g5.txt",
        "lost6.txt",
        "no.jpg",
        "7-7.png",
    ]
    read = []
    for number, made in enumerate((sorted(names), random.Random(4).sample(names, len(names)))):
        folder = fill(tmp_path / f"folder{number}", " ".join(made))
        read += [load_dataset(folder), load_dataset(Backwards(folder))]
    first = read[0]
    assert [sample.id for sample in first.samples] == [1, 2, 3, 5, 10]
    assert len(first.problems) == 6
    for dataset in read[1:]:
        assert list(pairs(dataset).items()) == list(pairs(first).items())
        assert dataset.problems == first.problems


def test_an_image_without_text_takes_part_in_five_tasks_and_is_counted_as_left_out_of_three(tmp_path: Path) -> None:
    fill(tmp_path, "image1.jpg text1.txt image2.jpg image3.jpg")
    benchmark = benchmark_of({"dataset": str(tmp_path), "languages": "Sw"})
    assert [benchmark.left_out(make_cell("Sw", task)) for task in range(1, 9)] == [0, 0, 0, 0, 0, 2, 2, 2]
    asked = [(parse_cell(request.cell)[1], int(request.sample_id)) for request in benchmark.requests()]
    assert sorted(asked) == [(task, number) for task in range(1, 6) for number in (1, 2, 3)] + [
        (task, 1) for task in (6, 7, 8)
    ]


def test_files_that_are_wrong_stop_a_run_unless_they_are_to_be_skipped(tmp_path: Path) -> None:
    fill(tmp_path, "image1.jpg image2.jpg text9.txt")
    options = {"dataset": str(tmp_path), "languages": "En", "tasks": "1"}
    with pytest.raises(VluresError, match=r"text9\.txt.*--skip-problems"):
        benchmark_of(options)
    benchmark = benchmark_of(options | {"skip_problems": True, "limit": 1})
    assert [request.sample_id for request in benchmark.requests()] == ["1"]
