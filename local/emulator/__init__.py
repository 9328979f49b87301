"""The emulator of AWS for this machine: MiniStack, held to what AWS does where this project depends on it."""
