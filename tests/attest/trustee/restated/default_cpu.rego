package policy

import rego.v1

ref(name) := query_reference_value(name)

among(claims, pairs) if {
	every claim, name in pairs {
		claims[claim] in ref(name)
	}
}

same(claims, pairs) if {
	every claim, name in pairs {
		claims[claim] == ref(name)
	}
}

tpm11(tee, name) if input[tee].tpm.pcr11 in ref(name)

body := input.tdx.quote.body

default executables := 33

executables := 3 if {
	input.sample.launch_digest in ref("launch_digest")
} else := 3 if {
	input.snp.measurement in ref("snp_launch_measurement")
} else := 3 if {
	among(body, {"rtmr_1": "rtmr_1", "rtmr_2": "rtmr_2"})
	kernel_event
	parameters_event
} else := 4 if {
	among(body, {"rtmr_1": "rtmr_1", "rtmr_2": "rtmr_2"})
} else := 3 if {
	input["az-snp-vtpm"].measurement in ref("measurement")
	tpm11("az-snp-vtpm", "snp_pcr11")
} else := 3 if {
	tpm11("az-tdx-vtpm", "tdx_pcr11")
} else := 3 if {
	input.tpm.pcr11 in ref("tpm_pcr11")
	input.tpm.ak_public in ref("trusted_aks")
} else := 3 if {
	input.se
}

kernel_event if {
	some event in input.tdx.uefi_event_logs
	event.type_name == "EV_EFI_BOOT_SERVICES_APPLICATION"
	"File(kernel)" in event.details.device_paths
	some digest in event.digests
	digest.digest == ref("tdvfkernel")
}

parameters_event if {
	some event in input.tdx.uefi_event_logs
	event.type_name == "EV_EVENT_TAG"
	event.details.string == "LOADED_IMAGE::LoadOptions"
	some digest in event.digests
	digest.digest == ref("tdvfkernelparams")
}

intel(tee) if {
	header := input[tee].quote.header
	header.tee_type == "81000000"
	header.vendor_id == "939a7233f79c4ca9940a0db3957f0607"
	input[tee].quote.body.mr_td in ref("mr_td")
	input[tee].tcb_status == "UpToDate"
}

default hardware := 97

hardware := 2 if {
	input.sample.svn in ref("svn")
	input.sample.platform_version.major == ref("major_version")
	input.sample.platform_version.minor >= ref("minimum_minor_version")
} else := 2 if {
	among(input.snp, {
		"reported_tcb_bootloader": "snp_bootloader", "reported_tcb_microcode": "snp_microcode",
		"reported_tcb_snp": "snp_snp_svn", "reported_tcb_tee": "snp_tee_svn",
	})
} else := 2 if {
	intel("tdx")
	input.tdx.collateral_expiration_status == "0"
} else := 2 if {
	among(input["az-snp-vtpm"], {
		"reported_tcb_bootloader": "tcb_bootloader", "reported_tcb_microcode": "tcb_microcode",
		"reported_tcb_snp": "tcb_snp", "reported_tcb_tee": "tcb_tee",
	})
} else := 2 if {
	intel("az-tdx-vtpm")
} else := 2 if {
	input.tpm
} else := 2 if {
	input.se
}

closed if {
	input.snp.policy_debug_allowed == false
	input.snp.policy_migrate_ma == false
}

default configuration := 36

configuration := 2 if {
	input.sample.debug == false
} else := 2 if {
	closed
	same(input.snp, {
		"platform_smt_enabled": "snp_smt_enabled", "platform_tsme_enabled": "snp_tsme_enabled", "policy_abi_major": "snp_guest_abi_major",
		"policy_abi_minor": "snp_guest_abi_minor", "policy_single_socket": "snp_single_socket", "policy_smt_allowed": "snp_smt_allowed",
	})
} else := 3 if {
	closed
} else := 2 if {
	input.tdx.td_attributes.debug == false
	body.xfam in ref("xfam")
} else := 2 if {
	among(input["az-snp-vtpm"], {
		"platform_smt_enabled": "smt_enabled", "platform_tsme_enabled": "tsme_enabled", "policy_abi_major": "abi_major",
		"policy_abi_minor": "abi_minor", "policy_single_socket": "single_socket", "policy_smt_allowed": "smt_allowed",
	})
} else := 2 if {
	input["az-tdx-vtpm"].quote.body.xfam in ref("xfam")
} else := 0 if {
	input.tpm
} else := 2 if {
	input.se
}

trust_claims := {
	"executables": executables, "hardware": hardware, "configuration": configuration, "file-system": 0,
	"instance-identity": 0, "runtime-opaque": 0, "storage-opaque": 0, "sourced-data": 0,
}
