import numpy as np
import pytest
from safetensors import numpy as safetensors

from jaxseg.core import errors
from jaxseg.data import catalogue
from jaxseg.transfer import artifact
from tests import tiny


def splits(name):
    """Training images of an embedded set."""
    return catalogue.find(f"worlds/{name}").splits["train"]


def columns(config, name):
    (row,) = tiny.plan(config).by_name[name].columns
    return row


def test_what_follows_from_the_stages():
    config = tiny.config()
    config["stages"]["target/a"]["columns"] = [dict(tiny.LABEL)]
    found = columns(config, "target/a")
    assert found == {
        "study": "tiny",
        "cell": "target/a",
        "role": "target",
        "setting": "small",
        "target": "night",
        "target_dataset": "worlds/driving_night",
        "target_task": "segmentation",
        "target_domain": "driving",
        "target_images": 7,  # of 8 one is held out
        "target_set_images": splits("driving_night"),
        "source": "source",
        "source_dataset": "worlds/driving_day",
        "source_task": "segmentation",
        "source_domain": "driving",
        "source_images": 8,
        "source_set_images": splits("driving_day"),
        "start": "source",
        "backbone": "hrnet/tiny",
        "resolution": "64x64",
        "variant": "",
        "seed": 0,
        "lr": 0.001,
        "selected": "",
    }


def test_images_are_those_that_were_trained_on():
    config = tiny.config()
    assert columns(config, "target")["target_images"] == 8  # the winner is refitted
    config["stages"]["target"]["refit"] = False
    assert columns(config, "target")["target_images"] == 7


def test_a_selection_has_the_columns_of_its_candidates_but_no_rate():
    found = columns(tiny.config(), "target")
    assert found["lr"] is None and found["selected"] == "holdout"
    assert found["target_dataset"] == "worlds/driving_night"
    assert found["source"] == "source" and found["start"] == "source"


def test_without_a_start_it_is_random():
    found = columns(tiny.config(), "source")
    assert found["start"] == found["source"] == "random"
    assert found["source_dataset"] is None and found["source_images"] is None


def test_a_chain_is_spelt_out_from_its_beginning():
    config = tiny.config()
    third = tiny.candidate(0.1) | {"parents": {"start": "target"}, "columns": [{}]}
    config["stages"]["third"] = third
    assert columns(config, "third")["start"] == "source > target"


def test_what_the_config_says_stands():
    config = tiny.config()
    own = {"source": "mine", "start": "x", "target_images": 3}
    config["stages"]["target"]["columns"] = [own]
    assert own.items() <= columns(config, "target").items()


def test_all_images_of_a_split_are_counted():
    config = tiny.config()
    config["stages"]["source"]["data"] = {"name": "worlds/driving_day"}
    assert columns(config, "source")["target_images"] == splits("driving_day")


def test_all_sets_of_a_mix_are_counted():
    other = {"name": "bdd/19", "split": "train", "count": 50}
    data = {"name": "cityscapes/19", "split": "train", "fraction": 0.5, "mix": [other]}
    one = tiny.train(data=data, columns=[{}], evaluations={"validation": {}})
    found = columns({"stages": {"one": one}}, "one")
    assert found["target_dataset"] == "cityscapes/19 + bdd/19"
    assert found["target_domain"] == "driving"
    assert found["target_images"] == 1488 + 50
    assert found["target_set_images"] == 2975 + 7000


def test_the_source_is_what_fills_the_backbone():
    config = tiny.config()
    config["stages"]["other"] = tiny.train(seed=1)
    head = {"parent": "head", "take": {"heads_segmentation": "heads_segmentation"}}
    both = tiny.candidate(0.1) | {"columns": [{}]}
    both["parents"] = both["parents"] | {"head": "other"}
    both["starts"] = [head, *both["starts"]]
    config["stages"]["both"] = both
    found = columns(config, "both")
    assert found["source"] == found["start"] == "source"


def from_elsewhere(**weights):
    """The columns of a training that starts from an imported stage."""
    weights = {"kind": "imported", **weights}
    one = tiny.train(parents={"start": "weights"}, columns=[{}])
    take = {"parent": "start", "take": {"backbone": "backbone"}}
    return columns(
        {"stages": {"weights": weights, "one": one | {"starts": [take]}}}, "one"
    )


@pytest.mark.parametrize("name", ["source", "target"])
def test_an_imported_start_is_what_its_artifact_was_trained_on(name):
    found = from_elsewhere(file=str(tiny.artifact(name)))
    spec = artifact.load(tiny.artifact(name)).manifest["spec"]
    assert found["source"] == "weights" and found["source_task"] == "segmentation"
    assert found["source_dataset"] == spec["data"]["name"]
    facts = catalogue.find(spec["data"]["name"])
    assert found["source_domain"] == facts.domain
    assert found["source_set_images"] == facts.splits["train"]
    assert found["source_images"] == spec["data"]["count"]


def test_a_file_of_weights_says_nothing_of_its_data(tmp_path):
    safetensors.save_file({"params/x": np.zeros(1)}, tmp_path / "x.safetensors")
    found = from_elsewhere(file=str(tmp_path / "x.safetensors"), model=tiny.MODEL)
    about = ("source_dataset", "source_task", "source_domain", "source_images")
    assert [found[name] for name in about] == ["unknown"] * 3 + [None]


def test_a_role_that_no_table_knows_is_refused():
    """The row would be in none."""
    config = tiny.config()
    config["stages"]["target"]["columns"] = [{"role": "targt"}]
    text = "stages/target/columns: unknown role 'targt'.*source, target.*'target'"
    with pytest.raises(errors.UserError, match=text):
        tiny.plan(config)
    for role in ("pretraining", "source", "target", "candidate", "measure", None):
        config["stages"]["target"]["columns"] = [{"role": role}]
        assert columns(config, "target")["role"] == role
