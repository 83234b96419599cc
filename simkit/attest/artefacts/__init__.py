"""From a plan to what is asked of its guests before a secret is released to them."""
