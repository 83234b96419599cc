"""What a policy of Trustee's lets through: a bank of inputs, each wrong in one named way, put to the policy by a real engine."""
