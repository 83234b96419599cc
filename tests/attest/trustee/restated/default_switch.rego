package policy

import rego.v1

device := input.nvidia

claimed(names) if {
	every name in names {
		device[concat("", ["x-nvidia-switch-", name])]
	}
}

certified(name) if {
	chain := device[concat("", ["x-nvidia-switch-", name, "-cert-chain"])]
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
	device["x-nvidia-switch-bios-version"] in query_reference_value("allowed_switch_bios_versions")
} else := 3 if {
	closed
}

default executables := 33

executables := 3 if {
	certified("bios-rim")
	device.measres == "success"
	claimed(["bios-rim-fetched", "bios-rim-measurements-available", "bios-rim-schema-validated", "bios-rim-signature-verified", "bios-rim-version-match"])
}

trust_claims := {
	"executables": executables, "hardware": hardware, "configuration": configuration, "file-system": 0,
	"instance-identity": 0, "runtime-opaque": 0, "storage-opaque": 0, "sourced-data": 0,
}
