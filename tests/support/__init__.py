"""What tests share: fakes behind the contract suites, and builders of events and secrets."""
