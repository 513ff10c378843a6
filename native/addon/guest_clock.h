// A clock of the host that stands still while the machine is paused. The guest's own clocks do too, so that what it
// says of a time is what the guest would have measured, unless QEMU was told to derive its clocks from instructions
// (-icount).
#pragma once

#include <cstdint>

// QEMU's main-loop thread: the machine continues, or is paused.
void SetGuestClockRuns(bool is_running);

// Any thread.
uint64_t ReadGuestClockNs();
