// Events of executed code, memory and address spaces: on the vCPU thread, while the guest is paused.
#pragma once

#include "qemu_glue.h"

// Fills in the functions for these events.
void ListenToCode(rebox_listener* listener);
// Has the events that need it go a shorter way, after a change of the subscriptions.
void ChooseListeners();
