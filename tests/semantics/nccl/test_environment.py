"""NCCL's variables: what they mean, and what is refused that NCCL would pass over in silence."""

import pytest

from simkit.errors import InputError, UnknownName
from simkit.model.route import PeerClass
from simkit.semantics.nccl.environment import VARIABLES, Environment


def test_levels_are_words_or_numbers_of_old() -> None:
    assert Environment.of(["NCCL_P2P_LEVEL=PHB"]).p2p_level is PeerClass.PHB
    old = [Environment.of([f"NCCL_NET_GDR_LEVEL={number}"]).gdr_level for number in range(7)]
    assert old == [PeerClass.LOC, PeerClass.PIX, PeerClass.PXB, PeerClass.PHB, PeerClass.SYS, PeerClass.SYS, PeerClass.SYS]


def test_the_last_of_a_name_counts() -> None:
    assert Environment.of(["NCCL_P2P_LEVEL=PHB", "NCCL_P2P_LEVEL=SYS"]).p2p_level is PeerClass.SYS


def test_numbers_are_c_s() -> None:
    assert Environment.of(["NCCL_NET_GDR_READ=0x1"]).gdr_read == 1
    assert Environment.of(["NCCL_NET_GDR_READ=010"]).gdr_read == 8
    assert Environment.of(["NCCL_NET_GDR_READ=-2"]) == Environment()
    assert Environment.of(["NCCL_PXN_DISABLE=0", "NCCL_NETDEVS_POLICY=auto", "NCCL_IGNORE_DISABLED_P2P=1"]) == Environment()
    found = Environment.of(["NCCL_NETDEVS_POLICY=MAX:2"])
    assert (found.ports_policy, found.most_ports) == ("MAX", 2)


@pytest.mark.parametrize(("assignment", "words"), [
    ("NCCL_P2P_LEVEL", "sets no variable"),
    ("NCCL_P2P_LEVEL=NODE", "knows no such level"),
    ("NCCL_P2P_LEVEL=DIS", "knows no such level"),
    ("NCCL_P2P_DISABLE=yes", "is no number"),
    ("NCCL_NET_GDR_READ=09", "is no number"),
    ("NCCL_NETDEVS_POLICY=MAX:0", "no such policy"),
    ("NCCL_NETDEVS_POLICY=AUTO:1", "no such policy"),
    ("NCCL_P2P_LEVL=SYS", "did you mean NCCL_P2P_LEVEL"),
    ("PATH=/", "there are NCCL_P2P_LEVEL"),
])
def test_what_is_refused(assignment: str, words: str) -> None:
    with pytest.raises((InputError, UnknownName), match=words):
        Environment.of([assignment])


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_takes_some_number_or_word(name: str) -> None:
    Environment.of([f"{name}={'ALL' if name == 'NCCL_NETDEVS_POLICY' else '1'}"])
