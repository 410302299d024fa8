"""`vlures urban features` with real, tiny models: what it writes, how it continues, what it says of what is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import DetrForObjectDetection, DPTForDepthEstimation, SegformerForSemanticSegmentation

from tests.conftest import Command, Result, wait_until
from tests.local.view_models import CITYSCAPES, save_detr, save_dpt, save_segformer
from vlures.benchmarks.urban.scenes.writing import write_scenes
from vlures.cli import call
from vlures.store.lock import hold_folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("models")
    save_dpt(folder / "dpt")
    save_dpt(folder / "other-dpt", seed=7)
    save_detr(folder / "detr")
    save_segformer(folder / "segformer")
    return folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Streets and their own features.json."""
    folder = tmp_path_factory.mktemp("drawn") / "streets"
    write_scenes(folder, 24, 96, 5)
    return folder


@pytest.fixture
def work(tmp_path: Path, models: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command in a folder that has the models and four images."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "models").symlink_to(models)
    take_images(drawn, folder / "images", 4)
    monkeypatch.chdir(folder)
    return Command(folder, {"HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"})


def take_images(drawn: Path, to: Path, count: int) -> list[Path]:
    to.mkdir()
    return [shutil.copy(path, to) for path in sorted((drawn / "images").iterdir())[:count]]


def options(*more: str, images: str = "images", out: str = "out", **models: str) -> list[str]:
    chosen = {"depth": "models/dpt", "detection": "models/detr", "segmentation": "models/segformer"} | models
    flags = [word for task, name in chosen.items() for word in (f"--{task}-model", name)]
    return ["urban", "features", "--images", images, "--out", out, *flags, "--device", "cpu", *more]


class Here:
    """The command in this process, which has loaded torch already."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *more: str, **chosen: str) -> Result:
        self._capsys.readouterr()
        code = call(options(*more, **chosen))
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err, err
        assert "internal error" not in err, err
        return Result(code, out, err)


@pytest.fixture
def here(work: Command, capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


def features(work: Command, out: str = "out") -> list[dict[str, Any]]:
    return json.loads((work.folder / out / "features.json").read_text(encoding="utf-8"))


def lines(work: Command, out: str = "out") -> list[dict[str, Any]]:
    text = (work.folder / out / "features.jsonl").read_text(encoding="utf-8")
    return [line for line in map(json.loads, text.splitlines()) if "image" in line]


def test_the_command_writes_the_metadata_of_every_image(work: Command, drawn: Path) -> None:
    result = work(*options())
    assert result.code == 0, result
    assert "out/features.json: 4 of 4 images" in result.out
    assert "4 images: 0 done already, 4 to do." in result.err
    own = json.loads((drawn / "features.json").read_text(encoding="utf-8"))[0]
    records = features(work)
    assert [record["image_id"] for record in records] == ["image_01", "image_02", "image_03", "image_04"]
    for record in records:
        assert set(own) - {"known_objects"} <= set(record)  # objects that the file names anywhere are known everywhere
        assert record["depth"] == {"kind": "inverse"}
        assert (work.folder / "out" / record["image_path"]).resolve().is_file()
        assert set(record["view_factors"]) == {"greenery", "sky", "building"}
        assert all(0 <= share <= 1 for share in record["view_factors"].values())
        assert record["vertical_layout"]["top_entity"] in CITYSCAPES
        assert record["objects"] == dict(Counter(each["label"] for each in record["raw_objects"]))
        assert record["depth_stats"]["range"] > 0
        assert record["depth_order"][record["depth_stats"]["closest_object"]] == max(record["depth_order"].values())
        nearest = max(record["raw_objects"], key=lambda each: each["depth"])
        assert nearest["label"] == record["depth_stats"]["closest_object"], "a larger inverse depth is nearer"
        for each in record["raw_objects"]:
            left, top, right, bottom = each["box"]
            assert 0 <= left < right <= 96
            assert 0 <= top < bottom <= 96
            assert each["score"] > 0.5
            assert each["label"] != "N/A"
    assert len({json.dumps(record["raw_objects"]) for record in records}) == 4, "images are told apart"


def test_numbers_are_those_of_the_models(here: Here, work: Command, models: Path) -> None:
    assert here("--depth-maps").code == 0
    for record in features(work):
        picture = Image.open(work.folder / "out" / record["image_path"]).convert("RGB")
        kept = np.load(work.folder / "out" / record["depth_path"])
        assert (kept.shape, kept.dtype) == ((96, 96), np.float32)
        depth = DPTForDepthEstimation.from_pretrained(models / "dpt").eval()
        small = as_tensor(picture.resize((32, 32), Image.Resampling.BICUBIC), 0.5, 0.5)
        with torch.no_grad():
            said = depth(small).predicted_depth
        whole = torch.nn.functional.interpolate(said[:, None], size=(96, 96), mode="bicubic", align_corners=False)
        np.testing.assert_allclose(kept, whole[0, 0].numpy(), atol=1e-4)
        classes = SegformerForSemanticSegmentation.from_pretrained(models / "segformer").eval()
        mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        with torch.no_grad():
            logits = classes(as_tensor(picture.resize((64, 64), Image.Resampling.BILINEAR), mean, deviation)).logits
        large = torch.nn.functional.interpolate(logits, size=(96, 96), mode="bilinear", align_corners=False)
        indices = large.argmax(1)[0].numpy()
        green = np.isin(indices, [CITYSCAPES.index("vegetation"), CITYSCAPES.index("terrain")])
        assert record["view_factors"]["greenery"] == pytest.approx(green.mean(), abs=0.002)


def as_tensor(picture: Image.Image, mean: Any, deviation: Any) -> torch.Tensor:
    values = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255)
    return ((values - mean) / deviation).permute(2, 0, 1)[None]


def test_a_killed_command_continues_where_it_was(work: Command, drawn: Path) -> None:
    shutil.rmtree(work.folder / "images")
    take_images(drawn, work.folder / "images", 24)
    assert work(*options(out="whole")).code == 0
    record = work.folder / "out/features.jsonl"
    process = work.start(*options())
    wait_until(process, lambda: record.is_file() and record.read_bytes().count(b"\n") >= 2)
    process.kill()
    process.communicate()
    assert not (work.folder / "out/features.json").exists(), "the command was too quick to be killed"
    before = record.read_bytes()
    record.write_bytes(before + b'{"image": "image_2')
    result = work(*options())
    assert result.code == 0, result
    assert "was torn (18 bytes); it was cut off and kept in" in result.err
    assert f"24 images: {before.count(chr(10).encode())} done already" in result.err
    assert record.read_bytes().startswith(before)
    assert set(Counter(line["image"] for line in lines(work)).values()) == {1}
    whole = (work.folder / "whole/features.json").read_bytes()
    assert (work.folder / "out/features.json").read_bytes() == whole


def test_nothing_is_done_twice(here: Here, work: Command) -> None:
    assert here().code == 0
    files = {path.name: path.read_bytes() for path in (work.folder / "out").iterdir() if path.is_file()}
    again = here()
    assert again.code == 0
    assert "4 images: 4 done already, 0 to do." in again.err
    assert "On cpu" not in again.err, "no model is loaded"
    (work.folder / "out/features.json").unlink()
    assert here().code == 0
    assert (work.folder / "out/features.json").read_bytes() == files["features.json"]
    assert (work.folder / "out/features.jsonl").read_bytes() == files["features.jsonl"]


def test_other_models_and_changed_images_are_measured_again(here: Here, work: Command) -> None:
    assert here().code == 0
    first = features(work)
    images = sorted((work.folder / "images").iterdir())
    shutil.copy(images[0], images[1])
    changed = here()
    assert "4 images: 3 done already, 0 to do, again 1 whose file has changed." in changed.err
    second = features(work)
    assert second[1]["raw_objects"] == first[0]["raw_objects"] != first[1]["raw_objects"]
    assert [second[number] for number in (0, 2, 3)] == [first[number] for number in (0, 2, 3)]
    other = here(depth="models/other-dpt")
    assert "4 images: 0 done already, 0 to do, again 4 that other models or options made." in other.err
    assert features(work)[0]["depth_stats"] != first[0]["depth_stats"]
    assert "again 4 that other" in here("--depth-kind", "distance").err
    assert features(work)[0]["depth"] == {"kind": "distance", "unit": "m"}
    images[3].unlink()
    gone = here()
    assert gone.code == 0
    assert "1 image is not in the folder any more, and not in features.json." in gone.err
    assert len(features(work)) == 3


def test_a_model_in_another_place_is_the_same_model(here: Here, work: Command, models: Path) -> None:
    assert here().code == 0
    shutil.copytree(models / "dpt", work.folder / "copied")
    assert "4 done already, 0 to do." in here(depth="copied").err


def test_kept_depths_are_used_again(here: Here, work: Command, models: Path) -> None:
    assert here().code == 0
    assert "depth_path" not in features(work)[0]
    assert "again 4 without a depth map" in here("--depth-maps").err
    maps = sorted((work.folder / "out/depth").iterdir())
    assert [path.name.partition("-")[0] for path in maps] == ["image_01", "image_02", "image_03", "image_04"]
    flat = np.full((96, 96), 3.0, dtype=np.float32)
    flat[0, 0] = 5.0
    np.save(maps[0], flat)  # to see that it is read
    save_segformer(work.folder / "other", seed=3)
    assert "again 4 that other" in here(segmentation="other").err
    assert features(work)[0]["depth_stats"]["range"] == 2.0
    assert sorted((work.folder / "out/depth").iterdir()) == maps


def test_one_bad_image_does_not_stop_the_others(here: Here, work: Command) -> None:
    images = sorted((work.folder / "images").iterdir())
    images[1].write_bytes(images[1].read_bytes()[:200])
    Image.new("I;16", (40, 40), 40_000).save(images[2])
    (work.folder / "images/notes.txt").write_text("mine", encoding="utf-8")
    result = here()
    assert result.code == 3
    assert "image_02.png is left out: it " in result.err
    assert "image_03.png is left out: it has pixels of the mode I;16" in result.err
    assert "Left out of images: 1 file with other endings." in result.err
    assert "out/features.json: 2 of 4 images" in result.out
    assert [record["image_id"] for record in features(work)] == ["image_01", "image_04"]
    for path in images:
        path.write_bytes(b"")
    assert_stopped(here(out="none"), "No image can be used, for the reasons above")
    assert not (work.folder / "none/features.json").exists()


def test_images_are_seen_as_their_files_have_them(here: Here, work: Command) -> None:
    first = sorted((work.folder / "images").iterdir())[0]
    turned = Image.Exif()
    turned[0x0112] = 6
    with Image.open(first) as picture:
        picture.save(work.folder / "images/image_00.png", exif=turned)
    assert here().code == 0
    records = features(work)
    assert records[0]["raw_objects"] == records[1]["raw_objects"]


def test_every_dtype_gives_the_same_to_its_precision(here: Here, work: Command) -> None:
    assert here().code == 0
    exact = features(work)
    for dtype in ("bfloat16", "float16"):
        result = here("--dtype", dtype, out=dtype)
        assert result.code == 0, result
        for rough, record in zip(features(work, dtype), exact, strict=True):
            assert rough["view_factors"]["sky"] == pytest.approx(record["view_factors"]["sky"], abs=0.1)
            assert rough["depth_stats"]["range"] == pytest.approx(record["depth_stats"]["range"], rel=0.3, abs=0.2)


def assert_stopped(result: Result, *words: str) -> None:
    result.assert_stopped(1, *words)
    assert result.err.splitlines()[-1].endswith("."), result


WRONG: dict[str, tuple[str, str, str]] = {
    "no folder": ("depth", "./nothing", "There is no folder ./nothing; name another with --depth-model"),
    "not cached": ("depth", "Intel/dpt-large", "the hub cannot be reached; name another with --depth-model"),
    "not cached, a revision": ("detection", "facebook/detr-resnet-50@no_timm", "the hub cannot be reached"),
    "a file": ("depth", "models/dpt/config.json", "is no folder; name a model's folder with --depth-model"),
    "no model": ("segmentation", "images", "images has no config.json, so it is no model's folder"),
    "another kind": ("depth", "models/detr", "models/detr is a DetrForObjectDetection, which does not estimate depth"),
    "a third kind": ("detection", "models/segformer", "does not detect objects; name one that does"),
    "a depth model": ("segmentation", "models/dpt", "is a DPTForDepthEstimation, which does not tell the classes of"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_model_is_named_in_one_sentence(here: Here, case: str) -> None:
    task, name, words = WRONG[case]
    assert_stopped(here(**{task: name}), words, f"--{task}-model")


def test_a_damaged_model_is_named_in_one_sentence(here: Here, work: Command, models: Path) -> None:
    def copy(name: str) -> Path:
        shutil.copytree(models / "dpt", work.folder / name)
        return work.folder / name

    pickled = copy("pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    assert_stopped(here(depth="pickled"), "pickled has no weights as safetensors; other files, which may run code")
    half = copy("half")
    (half / "model.safetensors").write_bytes((half / "model.safetensors").read_bytes()[:5000])
    assert_stopped(here(depth="half"), "half ", "safetensors")
    (copy("unsaid") / "preprocessor_config.json").unlink()
    assert_stopped(here(depth="unsaid"), "unsaid has no preprocessor_config.json")
    (copy("garbled") / "config.json").write_text("{", encoding="utf-8")
    assert_stopped(here(depth="garbled"), "garbled cannot be loaded (")
    alien = copy("alien")
    (alien / "config.json").write_text('{"model_type": "alien"}', encoding="utf-8")
    assert_stopped(here(depth="alien"), "alien cannot be loaded (")
    coded = copy("coded")
    theirs = {"model_type": "theirs", "auto_map": {"AutoConfig": "theirs.Config"}}
    (coded / "config.json").write_text(json.dumps(theirs), encoding="utf-8")
    (coded / "theirs.py").write_text("raise SystemExit('run')", encoding="utf-8")
    assert_stopped(here(depth="coded"), "coded needs code of its own, which is not run")


def test_a_model_that_lacks_weights_is_refused(here: Here, work: Command, models: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(models / "dpt/model.safetensors")
    unused = [name for name in weights if name.startswith("neck.fusion_stage.layers.0.residual_layer1.")]
    assert unused
    for folder, left_out in (("as-on-the-hub", unused), ("headless", ["head.head.0.weight"])):
        shutil.copytree(models / "dpt", work.folder / folder)
        rest = {name: value for name, value in weights.items() if name not in left_out}
        save_file(rest, work.folder / folder / "model.safetensors", metadata={"format": "pt"})
    assert here(depth="as-on-the-hub").code == 0
    stopped = here(depth="headless", out="other")
    assert_stopped(stopped, "headless lacks 1 of its weights, among them head.head.0.weight", "--depth-model")


def test_a_backbone_of_another_package_is_asked_for(here: Here, work: Command, models: Path) -> None:
    shutil.copytree(models / "detr", work.folder / "timm-detr")
    config = json.loads((models / "detr/config.json").read_text(encoding="utf-8"))
    config |= {"backbone_config": None, "use_timm_backbone": True, "backbone": "resnet50"}
    (work.folder / "timm-detr/config.json").write_text(json.dumps(config), encoding="utf-8")
    assert_stopped(here(detection="timm-detr"), "timm-detr needs the package timm, which is not installed; install it")


def test_the_direction_of_depths_is_known_or_asked_for(here: Here, work: Command, models: Path) -> None:
    shutil.copytree(models / "dpt", work.folder / "dinov2")
    config = json.loads((models / "dpt/config.json").read_text(encoding="utf-8"))
    config["backbone_config"] = {"model_type": "dinov2", "hidden_size": 16, "out_indices": [1, 2, 3, 4]}
    (work.folder / "dinov2/config.json").write_text(json.dumps(config), encoding="utf-8")
    assert_stopped(here(depth="dinov2"), "say so with --depth-kind distance or --depth-kind inverse")


def test_a_segmentation_without_a_sky_is_refused(here: Here, work: Command) -> None:
    save_segformer(work.folder / "indoors", names=("wall", "floor", "building"))
    assert_stopped(here(segmentation="indoors"), "indoors knows no class for greenery and sky", "--segmentation-model")


def test_files_of_others_are_not_overwritten(here: Here, work: Command, drawn: Path) -> None:
    shutil.copytree(drawn, work.folder / "streets")
    own = (work.folder / "streets/features.json").read_bytes()
    assert_stopped(here(out="streets"), "streets/features.json is there already and of another origin", "--out")
    assert (work.folder / "streets/features.json").read_bytes() == own
    assert here().code == 0
    edited = work.folder / "out/features.json"
    edited.write_text(edited.read_text(encoding="utf-8").replace("image_01", "mine"), encoding="utf-8")
    assert_stopped(here(), "out/features.json has changed since this command wrote it")
    assert "mine" in edited.read_text(encoding="utf-8")


def test_an_unreadable_line_is_named(here: Here, work: Command) -> None:
    assert here().code == 0
    record = work.folder / "out/features.jsonl"
    text = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join([text[0], b"{}\n", *text[2:]]))
    assert_stopped(here(), "out/features.jsonl, line 2, cannot be read")


def test_folders_without_usable_names_are_refused(here: Here, work: Command) -> None:
    (work.folder / "empty/below").mkdir(parents=True)
    assert_stopped(here(images="empty"), "There is no image (", "in empty, but 1 folder", "--images")
    assert_stopped(here(images="none"), "none cannot be read (No such file or directory)", "--images")
    shutil.copy(work.folder / "images/image_01.png", work.folder / "images/image_01.jpg")
    assert_stopped(here(), "image_01.jpg and image_01.png, which would both be image_01")


def test_a_device_that_is_not_there_is_named(here: Here) -> None:
    assert_stopped(here("--device", "warp"), "--device warp is none that torch knows")
    if not torch.cuda.is_available():
        assert_stopped(here("--device", "cuda:1"), "--device cuda:1 is not on this machine")


def test_one_process_at_a_time(here: Here, work: Command) -> None:
    with hold_folder(work.folder / "out"):
        assert_stopped(here(), "out is in use by process", "or name another folder with --out")


def test_torch_is_loaded_on_use_only_and_torchvision_never(work: Command) -> None:
    script = (
        "import sys; from vlures.cli import call; call(['--help']); call(['urban', 'features', '--help']); "
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules); "
        f"assert call({options()!r}) == 0; assert 'torch' in sys.modules and 'torchvision' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=work.folder, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_the_detector_is_asked_as_its_processor_says(here: Here, work: Command, models: Path) -> None:
    """The number of objects is that of the model's own scores."""
    assert here().code == 0
    detector = DetrForObjectDetection.from_pretrained(models / "detr").eval()
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for record in features(work):
        picture = Image.open(work.folder / "out" / record["image_path"]).convert("RGB")
        small = as_tensor(picture.resize((64, 64), Image.Resampling.BILINEAR), mean, deviation)
        with torch.no_grad():
            scores, labels = detector(small).logits.softmax(-1)[0, :, :-1].max(-1)
        sure = [detector.config.id2label[int(label)] for label in labels[scores > 0.5]]
        assert record["objects"] == dict(Counter(name for name in sure if name != "N/A"))
