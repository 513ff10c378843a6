// The state that the addon's files share. One engine for each process, so one state.
#pragma once

#include <cstdint>

#include "guard.h"
#include "script_calls.h"

struct AddonState {
  ScriptCalls calls;
  Guard guard;
  // No event may reach a script any more: the process ends.
  bool silent = false;
  // A replay executes once more what leads to a place: only listeners that take part in that are told.
  bool travels = false;
  // The count of instructions at which the event was that is delivered late, now; negative: none is.
  int64_t delivered_count = -1;
};

extern AddonState* const addon_state;

inline AddonState& State() { return *addon_state; }
