# Devices are of this class where they were found to make a protected PCIe topology: nothing is left to ask.
package policy

import rego.v1

trust_claims := {
	"executables": 0, "hardware": 0, "configuration": 2, "file-system": 0,
	"instance-identity": 0, "runtime-opaque": 0, "storage-opaque": 0, "sourced-data": 0,
}
