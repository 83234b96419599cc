# No submodule with a status other than affirming, and at least one submodule.
package policy

import rego.v1

default allow := false

not_affirmed contains name if {
	some name, submodule in input.submods
	submodule["ear.status"] != "affirming"
}

allow if {
	count(not_affirmed) == 0
	count(input.submods) >= 1
}
