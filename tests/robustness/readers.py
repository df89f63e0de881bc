"""A tiny whole tree for each reader of files, in its official layout, to be damaged."""

import json

import numpy as np

from jaxseg.data import source as source_lib
from jaxseg.data.datasets import shards
from jaxseg.data.readers import coco_names
from tests.data import layouts, trees
from tests.data import test_catalogue_areas as areas
from tests.data import test_catalogue_classes as classes
from tests.data import test_catalogue_driving as driving
from tests.data import test_catalogue_indoor as indoor
from tests.data import test_catalogue_objects as objects
from tests.data import test_chairs as chairs
from tests.data import test_containers as containers
from tests.data import test_deciles as deciles


def _both(*folders, mask=(0, 1, 2), count=2):
    """A writer of images and masks of the same names in pairs of folders."""

    def write(root):
        for image, label in folders:
            for i in range(count):
                trees.write_image(root / image.format(i), seed=i)
                trees.write_mask(root / label.format(i), values=mask)

    return write


def _bdd_boxes(root):
    labels = [driving.box("pedestrian", 0, 0, 640, 360), driving.box("car", 5, 5, 9, 9)]
    path = root / "labels/det_20/det_train.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps([{"name": "a.jpg", "labels": labels}]))
    driving.photo(root / "images/100k/train/a.jpg", shape=driving.bdd.SIZE)


def _camvid_32(root):
    (root / "train.txt").write_text("train/a.png trainannot/a.png\n")
    driving.photo(root / "701_StillsRaw_full/a.png")
    colors = list(driving.camvid.CLASSES_32.values())
    driving.colors(root / "LabeledApproved_full/a_L.png", colors)


def _coco_keypoints(root):
    content = layouts.coco()
    content["annotations"][1]["area"] = 7.5
    layouts.write_coco(root, content, kind="person_keypoints")


def _coco_official(root):
    square = [[10, 5, 20, 5, 20, 15, 10, 15]]
    crowd = {"size": [20, 40], "counts": [3, 5, 792]}
    entries = [
        objects.box(10, 62, [10, 5, 10, 10], segmentation=square, area=80),
        objects.box(10, 62, [0, 0, 40, 20], iscrowd=1, segmentation=crowd),
        objects.box(12, 90, [1, 1, 5, 5], segmentation=square),
    ]
    layouts.write_coco(root, objects.coco(entries))


def _coco_person17(root):
    points = [0] * 51
    points[3:6] = [20, 10, 2]
    person = objects.box(10, 1, [4, 2, 8, 10], keypoints=points)
    content = objects.coco([person], {1: "person"})
    content["categories"][0]["keypoints"] = list(coco_names.POINTS)
    layouts.write_coco(root, content, kind="person_keypoints")


def _panoptic(root):
    pixels = np.zeros(objects.SIZE, int)
    pixels[:5], pixels[5:10] = 70000, 300
    segments = [{"id": 70000, "category_id": 200}, {"id": 300, "category_id": 1}]
    objects.write_panoptic(root, segments, pixels)


def _deciles(root):
    names = ["train/cat/a", "train/dog/a", "val/dog/c"]
    deciles.write_tree(root, names)
    (root / "classes.txt").write_text("cat\ndog\n")


def _depth_folder(root):
    for i in range(4):
        trees.write_image(root / f"images/{i}.jpg", seed=i)
        layouts.write_depth(root / f"depth/{i}.png", (0, 500, 4000, 65535))


def _dogs(root):
    joints = [[0, 0, 0]] * 24
    joints[0], joints[16] = [20, 10, 1], [10, 5, 0]
    objects.write_dogs(root, joints)


def _flowers_102(root):
    for i in range(1, 4):
        trees.write_image(root / f"jpg/image_{i:05d}.jpg", seed=i)
    labels, sets = {"labels": [[77, 1, 102]]}, {"trnid": [[3, 1]], "valid": [[2]]}
    classes.scipy.io.savemat(root / "imagelabels.mat", labels)
    classes.scipy.io.savemat(root / "setid.mat", sets)


def _flowers_17(root):
    for i in (1, 81):
        trees.write_image(root / f"jpg/image_{i:04d}.jpg", (12, 16), seed=i)
        trees.write_mask(root / f"trimaps/image_{i:04d}.png", (6, 8), (0, 38, 14))
    classes.scipy.io.savemat(root / "trimaps/imlist.mat", {"imlist": [[1, 81]]})
    classes.scipy.io.savemat(root / "datasplits.mat", {"trn1": [[81, 1]]})


def _folder_lists(root):
    trees.write_folder(root, ["a", "b", "c"])
    (root / "train.txt").write_text("a\nimages/b.jpg masks/b.png\n")
    (root / "val.txt").write_text("c\n")


def _folder_colors(root):
    for i in range(3):
        trees.write_image(root / f"images/{i}.jpg")
        areas.write_colors(root / f"masks/{i}.png", [(0, 0, 255), (128, 64, 128)])
    (root / "colors.csv").write_text("name,r,g,b\nsky,0,0,255\nroad,128,64,128\n")


def _ilsvrc(root):
    classes.write_val(root)
    classes.write_kit(root / "kit", "1\n2\n")
    for path in (root / "kit").iterdir():
        path.rename(root / path.name)
    (root / "kit").rmdir()


def _ilsvrc_solution(root):
    classes.write_val(root)
    lines = [f"ILSVRC2012_val_{i:08d},n15075141 1 2 3 4" for i in (1, 2)]
    text = "\n".join(["ImageId,PredictionString", *lines])
    (root / "LOC_val_solution.csv").write_text(text)


def _image_folder(root):
    classes.write_classes(root / "train", {"b": 2, "a": 1})
    classes.write_classes(root / "val", {"b": 1})


def _intel(root):
    classes.write_classes(root / "seg_train", {"street": 1, "buildings": 1})
    classes.write_classes(root / "seg_test", {"sea": 1})


def _lsp(root):
    joints = np.zeros((14, 3, 5))
    joints[0], joints[13] = [[10], [4], [1]], [[30], [14], [1]]
    layouts.write_lsp(root, joints)


def _mpii_mat(root):
    known = objects.person([(21, 11, 0), (5, 6, 9)], [1, 0])
    objects.write_mpii(root, [[known, known], [known], [known]], [1, 1, 1])


def _mpii_json(root):
    entry = {"image": "0.jpg", "center": [20, 10], "scale": 0.1}
    entry |= {"joints": [[3, 4]] * 16, "joints_vis": [1] * 16}
    trees.write_image(root / "images/0.jpg", objects.SIZE)
    (root / "a.json").write_text(json.dumps([entry, entry]))


def _nyu(root):
    def write(path, arrays):
        import h5py

        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array

    indoor.write_nyu(root, write)


def _nyu_files(root):
    for i in range(2):
        trees.write_image(root / f"images/train/{i}.jpg", seed=i)
        layouts.write_depth(root / f"annotations/train/{i}.png")


def _scannet_raw(root):
    indoor.write_scannet(root, label="label-filt", values=(0, 2, 1163))
    text = "id\traw_category\tnyu40id\n2\tdoor\t8\n1163\tthing\t40\n"
    (root / indoor.scannet.TABLE).write_text(text)


def _seven_scenes(root):
    for number in (1, 2):
        layouts.write_frames(root / f"chess/seq-{number:02d}", range(2))
    (root / "chess/TrainSplit.txt").write_text("sequence1\n")
    (root / "chess/TestSplit.txt").write_text("sequence2\n")


def _seven_lists(root):
    layouts.write_frames(root, range(3))
    (root / "train.txt").write_text("frame-000000\nframe-000001\n")


def _shards(kind):
    def write(root):
        image = containers.png(containers.picture(7))
        mask = containers.png(containers.picture(1, containers.SHAPE))
        row = {"image": image, "mask": mask, "deciles": mask, "label": 1, "id": "a"}
        shards.write(root, "train", [row, row, row], kind=kind)
        (root / "classes.txt").write_text("cat\ndog\n")

    return write


def _sun_published(root):
    folder = "SUNRGBD/kv1/NYUdata/NYU{:04d}"
    for i in range(2):
        trees.write_image(root / folder.format(i) / f"image/{i}.jpg", seed=i)
        layouts.write_depth(root / folder.format(i) / f"depth/{i}.png", [8])
    path = root / indoor.sun_rgbd.ALL_SPLITS
    path.parent.mkdir(parents=True)
    names = np.array(["/n/fs/sun3d/data/" + folder.format(i) for i in (1, 0)], object)
    indoor.scipy.io.savemat(path, {"alltrain": names, "alltest": names[:1]})


def _table(root):
    containers.write_table(root, containers.LINES)
    (root / "classes.txt").write_text("cat\ndog\n")


def _table_numbers(root):
    lines = [containers.line(i, i) for i in range(3)]
    containers.write_table(root, lines)


def _trash(root):
    objects.write_trash(root, [("rov", (1, 1, 20, 10)), ("bio", (1, 1, 40, 20))])


def _vkitti(root):
    table, folder = driving.vkitti.CLASSES, "classSegmentation"
    driving.write_frames(root, "Scene01/clone", None, table, "Camera_0", folder)


def _vgallery(root):
    table, folder = driving.vgallery.CLASSES, "classsegmentation"
    for split in ("training", "testing"):
        home = f"{split}/gallery_light1_loop1"
        driving.write_frames(root, home, None, table, "camera_0", folder)


def _voc(root):
    boxes = [("dog", 1, 1, 1, 40, 20), ("cat", 0, 11, 6, 20, 10)]
    layouts.write_voc(root, "abc", boxes)


def _voc_lists(root):
    layouts.write_voc(root, "abc", [("dog", 1, 1, 1, 40, 20)])
    areas.write_list(root / "ImageSets/Main/train.txt", "ab")
    areas.write_list(root / "ImageSets/Main/val.txt", "c")


ADE = ("images/training/{}.jpg", "annotations/training/{}.png")
BDD = ("images/10k/train/{}.jpg", "labels/sem_seg/masks/train/{}.png")


def _yolo_lines(root):
    lines = "0 0.5 0.5 0.25 0.5\n\n1 0.1 0.2 0.3 0.2 0.3 0.6\n"
    layouts.write_yolo(root, lines, names="names:\n  0: cat\n  1: a dog\n")


OFFICIAL = ("boxes80", "chairs", "classification", "multilabel")
PET = ("trimap", "binary", "breeds", "dogs")
SCANNET = ("segmentation", "40", "20", "depth")
VOC = ("segmentation2012", "segmentation2012_void", "no_background", "cat", "four_way")
CITY = ("leftImg8bit/train/a/{}_leftImg8bit.png", "gtFine/train/a/{}_gtFine_%s.png")
CITYSCAPES, IDD = ((CITY[0], CITY[1] % ids) for ids in ("labelIds", "labelids"))
CITY_VAL = tuple(each.replace("/train/", "/val/") for each in CITYSCAPES)
KITTI = ("training/image_2/{:06}_10.png", "training/semantic/{:06}_10.png")
MAPILLARY = ("training/images/{}.jpg", "training/labels/{}.png")
HORSES = ("Data/Horse100/{:04}.jpg", "Data/Horse100/GroundTruth/{:04}.png")
PETS = {"trainval": [("a_1", 1), ("beagle_2", 5), ("c_3", 37)], "test": [("pug_1", 26)]}
SHARDS = ("shards/segmentation", "shards/classification", "deciles/shards")
AB, TINY = {"classes": ["a", "b", "c"]}, {"name": "tiny"}
MPII_JSON = {"annotations": {"train": "a.json"}}
# What writes a tree, and how it is opened: (names, options) for the split `train`.
TREES = [
    (_both(ADE), ("ade20k/150",), {}),
    (_both(BDD), ("bdd/19", "bdd/20"), {}),
    (_bdd_boxes, ("bdd/detection",), {}),
    (trees.write_camvid, ("camvid/11",), {}),
    (_camvid_32, ("camvid/32",), {}),
    (chairs.write_chairs, ("chairs/folder",), {"size": 32}),
    (_both(CITYSCAPES), ("cityscapes/19", "cityscapes/33"), {}),
    (_both(CITYSCAPES, CITY_VAL, mask=(7, 26)), ("cityscapes/car_patches",), {}),
    (_both(CITYSCAPES, mask=(7, 26)), ("cityscapes/car",), {}),
    (layouts.write_coco, ("coco/instances",), {}),
    (_coco_keypoints, ("coco/keypoints",), {}),
    (_coco_official, tuple(f"coco/{each}" for each in OFFICIAL), {}),
    (_coco_person17, ("coco/person17",), {}),
    (_panoptic, ("coco/panoptic", "coco/panoptic134"), {}),
    (_deciles, ("deciles/images",), {}),
    (lambda root: indoor.write_arrays(root, 1), ("depth/folder",), {}),
    (_depth_folder, ("depth/folder",), {"maximum": 10}),
    (_dogs, ("dogs/keypoints",), {}),
    (_flowers_102, ("flowers/102",), {}),
    (_flowers_17, ("flowers/17", "flowers/17_masks"), {}),
    (lambda root: trees.write_folder(root, "abcd"), ("folder/segmentation",), {}),
    (_folder_lists, ("folder/segmentation",), AB),
    (_folder_colors, ("folder/segmentation",), {"colors": "colors.csv"}),
    (_both(IDD), ("idd/35",), {}),
    (_ilsvrc, ("ilsvrc/2012",), {"split": "validation"}),
    (_ilsvrc_solution, ("ilsvrc/2012",), {"split": "validation"}),
    (_image_folder, ("image_folder/classes",), {}),
    (_intel, ("intel/6",), {}),
    (lambda root: areas.write_isaid(root, {"P0": areas.SHAPE}), ("isaid/16",), {}),
    (areas.write_isprs, ("isprs/potsdam_vaihingen",), {}),
    (_both(KITTI), ("kitti/segmentation",), {}),
    (_lsp, ("lsp/extended",), {}),
    (_both(MAPILLARY), ("mapillary/66",), {}),
    (_mpii_mat, ("mpii/person",), {}),
    (_mpii_json, ("mpii/person",), MPII_JSON),
    (_nyu, ("nyu/depth", "nyu/segmentation"), {}),
    (_nyu_files, ("nyu/depth",), {}),
    (_both(HORSES, mask=(0, 255), count=5), ("object_discovery/horse",), {}),
    (areas.write_context, ("pascal_context/60", "pascal_context/59"), {}),
    (lambda root: classes.write_pets(root, PETS), tuple(f"pets/{p}" for p in PET), {}),
    (indoor.write_scannet, tuple(f"scannet/{each}" for each in SCANNET), {}),
    (_scannet_raw, ("scannet/40",), {}),
    (_seven_scenes, ("seven_scenes/depth",), {}),
    (_seven_lists, ("seven_scenes/depth",), {}),
    (_shards("array_record"), SHARDS, {}),
    (_shards("parquet"), SHARDS, {}),
    (areas.write_suim, ("suim/8",), {}),
    (indoor.write_sun, ("sun_rgbd/segmentation", "sun_rgbd/depth"), {}),
    (_sun_published, ("sun_rgbd/depth",), {}),
    (_table, ("table/segmentation", "table/depth"), {}),
    (_table, ("table/classification",), {}),
    (_table_numbers, ("table/classification",), {}),
    (containers.write_tfds, ("tfds/classification", "tfds/detection"), TINY),
    (containers.write_tfds, ("tfds/segmentation",), TINY | AB),
    (_trash, ("underwater_trash/boxes",), {"split": "validation"}),
    (_vgallery, ("vgallery/segmentation", "vgallery/depth"), {}),
    (_vkitti, ("vkitti/segmentation", "vkitti/depth"), {}),
    (_voc, ("voc/boxes",), {}),
    (_voc_lists, ("voc/boxes",), {}),
    (areas.write_voc2012, tuple(f"voc/{each}" for each in VOC), {}),
    (layouts.write_yolo, ("yolo/boxes",), {}),
    (_yolo_lines, ("yolo/boxes",), {}),
]


def opened(name, root, options):
    """The source of a tree, opened as the table says."""
    options = dict(options)
    split = options.pop("split", "train")
    return source_lib.open(name, split=split, root=root, options=options, cache="none")
