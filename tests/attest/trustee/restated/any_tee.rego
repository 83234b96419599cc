# As the KBS ships it: whoever is not the sample attester gets whatever resource it asks for.
package policy

import rego.v1

default allow := false

sample_attester if input.submods.cpu0["ear.veraison.annotated-evidence"].sample

allow if {
	not sample_attester
	data.plugin == "resource"
}
