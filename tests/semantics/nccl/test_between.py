"""One pair out of what NCCL concludes of a host."""

from simkit.formats.source import open_host
from simkit.model.address import Address
from simkit.model.route import PeerClass
from simkit.semantics.nccl.predict import between, predict

H100 = open_host("hgx-h100")
GPU, NIC, FAR, DISK = (Address.parse(text) for text in ("03:00.0", "04:00.0", "83:00.0", "07:00.0"))


def test_a_pair_is_what_the_whole_answer_says_of_it() -> None:
    whole = predict(H100)
    assert between(H100, GPU, FAR) == whole.gpu_gpu[whole.gpus.index(GPU)][whole.gpus.index(FAR)]
    assert between(H100, GPU, NIC) == between(H100, NIC, GPU) == whole.gpu_net[whole.gpus.index(GPU)][whole.nets.index(NIC)]
    assert between(H100, GPU, NIC).nearness is PeerClass.PIX


def test_of_other_pairs_nccl_says_nothing() -> None:
    assert between(H100, GPU, DISK) is None
    assert between(H100, NIC, DISK) is None
    assert between(H100, GPU, Address.parse("22:00.0")) is None
