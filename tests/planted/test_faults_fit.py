"""Each fault can be planted in the code of today, so that planting them all is never put off for a repair of them."""

from pathlib import Path

import pytest

from tests.planted.fault import Fault
from tests.planted.faults import FAULTS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_changes_the_code_and_names_tests_that_exist(fault: Fault) -> None:
    for file, text in fault.planted(ROOT).items():
        assert text != (ROOT / file).read_text(encoding="utf-8")
    assert [path for path in fault.tests if not (ROOT / path.partition("::")[0]).exists()] == []
