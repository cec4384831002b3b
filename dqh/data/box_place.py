"""Photos with boxes as somebody names them by one path: which kind of annotations lies there."""

from pathlib import Path

from dqh.data.annotations import read_json
from dqh.data.box_source import BoxSource
from dqh.data.coco_boxes import COCOBoxes
from dqh.data.json_boxes import JSONBoxes
from dqh.data.voc_boxes import VOCBoxes
from dqh.errors import ConfigError, DataError

_JSON, _XML = "annotations.json", "Annotations"
_WANTED = (
    "give a JSON file of boxes or one as COCO has it, or a folder with annotations.json, or with Annotations/ and "
    "JPEGImages/ as VOC has it"
)


def boxes_at(
    path: Path, *, root: Path | None = None, listed: Path | None = None, class_map: Path | None = None
) -> BoxSource:
    """The photos whose boxes lie at a path.

    Args:
        path: a JSON file (with `images` that have `boxes`, or as COCO has it, with `categories`), or a folder with
            `annotations.json`, or as VOC has it.
        root: the folder of the photos of a JSON file; None: that of the file.
        listed: a list file of the photos that count; not for COCO.
        class_map: other names of classes, see `dqh.data.class_map`.

    Raises:
        ConfigError: a list is given for COCO, or a root for VOC.
        DataError: nothing of the kind is there, or it cannot be read.
    """
    names = None if class_map is None else str(class_map.absolute())
    query = None if listed is None else str(listed.absolute())
    if path.is_dir() and not (path / _JSON).is_file():
        if not (path / _XML).is_dir():
            raise DataError(f"no boxes in {path}: neither {_JSON} nor {_XML}/ is there; {_WANTED}")
        if root is not None:
            raise ConfigError(f"{path} has its photos in JPEGImages/, got the root {root}; leave the root out")
        return VOCBoxes(root=path, query=query, class_map=names)
    file = (path / _JSON if path.is_dir() else path).absolute()
    if not file.is_file():
        raise DataError(f"no boxes at {path}; {_WANTED}")
    folder = file.parent if root is None else root
    if "categories" not in read_json(file):
        return JSONBoxes(root=folder, annotations=str(file), query=query, class_map=names)
    if listed is not None:
        raise ConfigError(f"{file} is of COCO, which a list does not choose from; leave the list out")
    return COCOBoxes(root=folder, annotations=str(file), class_map=names)
