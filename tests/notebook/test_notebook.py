"""What an architect meets in a notebook: everything draws itself, frames become pandas, what-ifs are compared."""

import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

import simkit
from simkit.errors import InputError, SimkitError, UnknownName
from simkit.notebook import Host, NoPlan, Plan, diff
from simkit.notebook.frame import Frame


@pytest.fixture(scope="module")
def host() -> Host:
    return Host.load("hgx-h100")


@pytest.fixture(scope="module")
def plan(host: Host) -> Plan:
    found = host.solve("two-guests")
    assert isinstance(found, Plan)
    return found


def test_a_host_draws_itself(host: Host) -> None:
    ET.fromstring(host._repr_svg_())
    assert repr(host).startswith("hgx-h100: 8 GPUs")


def test_frames_become_pandas_frames(host: Host, plan: Plan) -> None:
    pytest.importorskip("pandas")
    groups = host.groups().to_pandas()
    assert list(groups["kind"]).count("gpu") == 8
    near = host.p2p(["0000:03:00.0", "0000:04:00.0", "0000:83:00.0"])
    assert [list(row) for row in near.to_pandas().itertuples(index=False)] == [list(row) for row in near.rows]
    assert near.rows[0][1:] == ("LOC", "PIX", "NVL")
    assert set(plan.guests.to_pandas()["guest"]) == {"train", "infer"}


def test_without_pandas_the_rows_are_there_and_the_remedy_is_told() -> None:
    script = (
        "import sys; sys.modules['pandas'] = None\n"
        "from simkit.notebook import Host\n"
        "frame = Host.load('edge-single').groups(); assert len(frame.rows) == 9\n"
        "try: frame.to_pandas()\n"
        "except ImportError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told == "a data frame needs pandas, which is not installed; pip install pandas, or take `.columns` and `.rows`\n"


def test_frames_read_well_as_text_and_in_a_page() -> None:
    frame = Frame(("name", "text"), (("a", "x<y"), ("long", "z")))
    assert repr(frame) == "name  text\na     x<y\nlong  z"
    assert "<td>x&lt;y</td>" in frame._repr_html_()


def test_the_matrix_is_in_colour(host: Host) -> None:
    assert host.p2p(["0000:03:00.0", "0000:04:00.0"])._repr_html_().count('style="background:#d9f0c8') == 2


def test_what_if_is_compared_and_marked(host: Host) -> None:
    off = host.what_if(acs={"0000:82:00.0": ""})
    difference = diff(host, off)
    assert difference.rows.rows == (("0000:82:00.0", "acs.control", "SV,RR,CR,UF", "nothing"),)
    assert difference._repr_html_().count('class="node hot"') == 1
    assert repr(simkit.diff(host, host)) == "no difference"
    assert host.what_if(kernel="6.12.1").grouping.kernel == "6.12"
    assert not host.what_if(iommu="none").groups().rows


def test_a_what_if_that_cannot_be_is_refused(host: Host) -> None:
    with pytest.raises(UnknownName):
        host.what_if(acs={"0000:99:00.0": ""})
    with pytest.raises(InputError, match="no ACS capability"):
        host.what_if(acs={"0000:03:00.0": "SV"})


def test_no_plan_says_why_in_sentences(host: Host) -> None:
    answer = host.solve("three-guests")
    assert isinstance(answer, NoPlan)
    text = repr(answer)
    assert "batch asks for 4 GPUs" in text
    assert "three-guests.yaml:27" in text
    assert "batch with 3 GPUs in place of 4" in text


def test_a_counterexample_draws_its_way(plan: Plan) -> None:
    assert plan.verify("isolation").verdict == "pass"
    broken = plan.what_if(acs={"0000:82:00.0": ""}).verify("isolation")
    assert broken.verdict == "fail"
    assert broken._repr_html_().count("wire hot") == 2


def test_names_of_the_package_are_loaded_when_they_are_asked_for() -> None:
    assert simkit.Host is Host
    with pytest.raises(AttributeError):
        simkit.nothing  # noqa: B018
    assert issubclass(UnknownName, SimkitError)
