package policy

import rego.v1

device := input.nvidia

claimed(names) if {
	every name in names {
		device[concat("", ["x-nvidia-gpu-", name])]
	}
}

certified(name) if {
	chain := device[concat("", ["x-nvidia-gpu-", name, "-cert-chain"])]
	chain["x-nvidia-cert-ocsp-status"] == "good"
	chain["x-nvidia-cert-status"] == "valid"
}

default hardware := 97

hardware := 2 if {
	certified("attestation-report")
	claimed(["attestation-report-cert-chain-fwid-match", "attestation-report-parsed", "attestation-report-signature-verified", "arch-check"])
}

closed if {
	device.secboot
	device.dbgstat == "disabled"
}

default configuration := 36

configuration := 2 if {
	closed
	device["x-nvidia-gpu-vbios-version"] in query_reference_value("allowed_vbios_versions")
	device["x-nvidia-gpu-driver-version"] in query_reference_value("allowed_driver_versions")
} else := 3 if {
	closed
}

default executables := 33

executables := 3 if {
	certified("vbios-rim")
	device.measres == "success"
	claimed([name |
		some part in ["driver", "vbios"]
		some what in ["fetched", "measurements-available", "schema-validated", "signature-verified", "version-match"]
		name := concat("-", [part, "rim", what])
	])
}

trust_claims := {
	"executables": executables, "hardware": hardware, "configuration": configuration, "file-system": 0,
	"instance-identity": 0, "runtime-opaque": 0, "storage-opaque": 0, "sourced-data": 0,
}
