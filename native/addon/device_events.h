// Events of devices: keys and network frames, delivered by the event loop.
#pragma once

#include "qemu_glue.h"

// Fills in the functions for these events.
void ListenToDevices(rebox_listener* listener);
