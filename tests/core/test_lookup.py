import pytest

from jaxseg.core import errors, lookup


def test_names_are_the_modules_of_a_package():
    backbones = ["hrnet", "resnest", "resnet", "unet", "vgg", "vit"]
    assert lookup.names("jaxseg.models.backbones") == backbones
    assert "linear" in lookup.names("jaxseg.models.heads")


def test_the_module_that_defines_what_a_part_is_is_no_part():
    tasks = ["classification", "conrec", "depth", "detection", "keypoints"]
    tasks += ["reconstruction", "segmentation", "simclr", "simmim"]
    assert lookup.names("jaxseg.tasks") == tasks  # without `task` and `targets`


def test_load_gives_the_module():
    module = lookup.load("jaxseg.tasks", "segmentation")
    assert module.__name__ == "jaxseg.tasks.segmentation"


@pytest.mark.parametrize("name", ["task", "_private", "core.errors", ""])
def test_load_refuses_what_is_no_part(name):
    with pytest.raises(errors.UserError, match="unknown task"):
        lookup.load("jaxseg.tasks", name)


def test_the_error_says_what_exists_and_what_was_meant():
    with pytest.raises(errors.UserError) as caught:
        lookup.load("jaxseg.tasks", "segmentaton")
    assert str(caught.value) == (
        "unknown task 'segmentaton'. Known: classification, conrec, depth, detection, "
        "keypoints, reconstruction, segmentation, simclr, simmim. "
        "Did you mean 'segmentation'?"
    )


def test_no_suggestion_where_nothing_is_near():
    with pytest.raises(errors.UserError) as caught:
        lookup.pick({"tiny": 1, "w48": 2}, "zzzzzz", kind="variant")
    assert str(caught.value) == "unknown variant 'zzzzzz'. Known: tiny, w48."
    assert str(lookup.unknown("x", [], kind="part")) == "unknown part 'x'. Known: none."


def test_pick_gives_the_value():
    assert lookup.pick({"tiny": 1, "w48": 2}, "w48", kind="variant") == 2
