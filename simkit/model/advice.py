"""What to do about a host for a stated aim: data, which others show or carry out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from simkit.model.address import Address
from simkit.model.capabilities import AcsBits
from simkit.model.route import PeerClass


class Aim(StrEnum):
    """What advice is wanted for; `HOST` is what the host does for the guests of a plan."""

    ISOLATE = "isolate"
    P2P = "p2p"
    RDMA = "rdma"
    HOST = "host"


class Call(StrEnum):
    """How much a piece of advice asks for.

    `SET`: do it, the aim is better served and no isolation is lost. `CHOICE`: it opens something, or rests on what is not known; yours to weigh.
    `ASK`: read a fact first. `TOGETHER`: no register helps, hand out as one. `BEWARE`: something set now does other than it seems.
    """

    SET = "set"
    CHOICE = "choice"
    ASK = "ask"
    TOGETHER = "together"
    BEWARE = "beware"


class Lasts(StrEnum):
    """How long a change holds: until a reset or reboot, as long as the command line, the firmware's setup or the build of the machine says so."""

    RUN_TIME = "run time"
    BOOT = "every boot"
    COMMAND_LINE = "kernel command line"
    FIRMWARE = "firmware"
    HARDWARE = "hardware"
    NOTHING = "nothing is changed"


class RestsOn(StrEnum):
    """Which of the three accounts of isolation the advice relies on (they differ where ACS was written at run time), or on none but a plan."""

    REPORTED = "the groups that the kernel reported"
    REGISTERS = "what the registers hold now"
    REBOOT = "what Linux makes of it at the next boot"
    PLAN = "the plan for the guests"


@dataclass(frozen=True, slots=True)
class Advice:
    """One piece: for `aim`, about `subject` (None: the whole host), `do` that.

    `do`, `how` (by what means, and what undoes it), `gains`, `costs` and `opens` are sentences without the subject's address; an empty one
    says nothing. `controls` are the values of ACS Control afterwards, as `simkit.semantics.what_if` takes them; `device_control` mask and value to
    be written to the subject's Device Control Register; `parameters` words to add to the kernel command line, `without` words to take from it;
    `firmware` names of setup switches to look for. `sources`: kernel functions, clauses, documents.
    """

    aim: Aim
    call: Call
    subject: Address | None
    do: str
    lasts: Lasts
    rests_on: RestsOn
    how: str = ""
    gains: str = ""
    costs: str = ""
    opens: str = ""
    sources: tuple[str, ...] = ()
    controls: tuple[tuple[Address, AcsBits], ...] = ()
    device_control: tuple[int, int] | None = None
    parameters: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """A GPU, the NIC that is nearest to it, and how a request gets from one to the other; `nic` None: there is none."""

    gpu: Address
    nic: Address | None
    nearness: PeerClass
    direct: bool
    translated_only: bool
    why: str


@dataclass(frozen=True, slots=True)
class Advised:
    """All advice for a host. `found` says what is so already, an aim and a sentence; `cmdline` is the whole kernel command line to use, None where it stays."""

    aims: tuple[Aim, ...]
    found: tuple[tuple[Aim, str], ...]
    pieces: tuple[Advice, ...]
    pairs: tuple[Pair, ...] = ()
    parameters: tuple[str, ...] = ()
    cmdline: str | None = None
    firmware: tuple[str, ...] = ()
