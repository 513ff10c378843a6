// The kinds of events by number: those of QEMU, rebox_event, then those of the guest's system, which TypeScript raises.
#pragma once

#include "qemu_glue.h"

enum GuestEvent {
  kCreateProcess = REBOX_EVENT_COUNT,
  kRemoveProcess,
  kLoadModule,
  kRemoveModule,
  kExecute,
};

constexpr int kEventKinds = kExecute + 1;

static_assert(REBOX_EVENT_COUNT == 13, "EventKind in src/machine/engine/event-table.ts counts on from here");
