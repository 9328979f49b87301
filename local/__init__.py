"""What runs Gatehouse on one machine: the emulator, the simulators and what starts and stops them."""
