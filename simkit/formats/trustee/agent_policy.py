"""A policy for Kata's agent where the user gives none: what a pod needs to run is allowed, what looks into it or changes it from outside is not.

Requests by their names in the agent's protocol (kata-containers@7c6ba40:src/libs/protocols/protos/agent.proto) and in the rules of genpolicy
(src/tools/genpolicy/rules.rego). It does not say which containers may run: that is genpolicy's to write, from the pod.
"""

from __future__ import annotations

ALLOWED = (
    "AddARPNeighborsRequest", "CopyFileRequest", "CreateContainerRequest", "CreateSandboxRequest", "DestroySandboxRequest", "GetMetricsRequest",
    "GetOOMEventRequest", "GuestDetailsRequest", "ListInterfacesRequest", "ListRoutesRequest", "OnlineCPUMemRequest", "PullImageRequest",
    "RemoveContainerRequest", "RemoveStaleVirtiofsShareMountsRequest", "ReseedRandomDevRequest", "SetGuestDateTimeRequest", "SignalProcessRequest",
    "StartContainerRequest", "StatsContainerRequest", "TtyWinResizeRequest", "UpdateEphemeralMountsRequest", "UpdateInterfaceRequest",
    "UpdateRoutesRequest", "VolumeStatsRequest", "WaitProcessRequest",
)
DENIED = (
    "AddSwapPathRequest", "AddSwapRequest", "CloseStdinRequest", "ExecProcessRequest", "GetDiagnosticDataRequest", "GetIPTablesRequest",
    "MemAgentCompactConfig", "MemAgentMemcgConfig", "MemHotplugByProbeRequest", "PauseContainerRequest", "ReadStreamRequest", "ResizeVolumeRequest",
    "ResumeContainerRequest", "SetIPTablesRequest", "SetPolicyRequest", "StartTracingRequest", "StopTracingRequest", "UpdateContainerRequest",
    "WriteStreamRequest",
)
_HEAD = """# No exec, no reading or writing of streams, no new policy. Which containers run is not said: genpolicy writes that, from the pod.
package agent_policy

"""


def agent_policy() -> str:
    """The policy's text."""
    return _HEAD + "".join(f"default {name} := {'true' if name in ALLOWED else 'false'}\n" for name in sorted((*ALLOWED, *DENIED)))
