import numpy as np
import pytest

from jaxseg.analysis import domain_distance

ORIGIN = np.array([[0.0, 0.0]])
FOUR = np.array([[3.0, 4.0], [0.0, 1.0], [6.0, 8.0], [0.0, 2.0]])


def test_nearest_source_image_by_hand():
    # (0, 0) is nearest to (0, 1); each of the four has only (0, 0).
    assert domain_distance.domain_distance(ORIGIN, FOUR) == 1.0
    assert domain_distance.domain_distance(FOUR, ORIGIN) == (5 + 1 + 10 + 2) / 4


def test_a_source_that_includes_the_target_is_at_distance_zero():
    assert domain_distance.domain_distance(FOUR[:2], FOUR) == 0.0
    assert domain_distance.domain_distance(FOUR, FOUR[:2]) > 0.0


def test_the_best_assignment_by_hand():
    one, other = np.array([[0.0], [4.0]]), np.array([[3.0], [5.0]])
    assert domain_distance.one_to_one(one, other) == (3 + 1) / 2
    # The nearest of both is 3; one of the two has to take 5.
    assert domain_distance.domain_distance(one, other) == (3 + 1) / 2
    near = np.array([[2.0], [4.0]])
    assert domain_distance.domain_distance(near, other) == 1.0
    assert domain_distance.one_to_one(near, np.array([[3.0], [9.0]])) == (1 + 5) / 2


def test_an_assignment_of_unequal_sets_has_the_pairs_of_the_smaller():
    assert domain_distance.one_to_one(ORIGIN, FOUR) == 1.0
    assert domain_distance.one_to_one(FOUR, ORIGIN) == 1.0


def test_vectors_of_different_length_are_refused():
    with pytest.raises(Exception, match=r"domain_distance|columns"):
        domain_distance.domain_distance(ORIGIN, np.zeros((2, 3)))
