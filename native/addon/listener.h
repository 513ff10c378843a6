// One callback or stream, as the addon keeps it.
#pragma once

#include <cstdint>
#include <memory>

#include "event_kind.h"
#include "filter.h"
#include "script_calls.h"
#include "stream.h"

class Trigger;

struct Listener {
  uint32_t id = 0;
  // A rebox_event or a GuestEvent.
  int kind = REBOX_BLOCK_BEGIN;
  Callable function;
  bool alive = true;
  // Asked before the function is called, about the events of every process.
  Trigger* trigger = nullptr;
  // With an address: its hook in QEMU.
  uint32_t hook = 0;
  std::unique_ptr<Filter> filter;
  // Takes the events in place of a call for each; function is its handler then.
  std::unique_ptr<Stream> stream;
  uint64_t calls = 0;
  uint64_t filtered = 0;
  // Of REBOX_OPCODE_RANGE.
  uint16_t first_opcode = 0;
  uint16_t last_opcode = 0;
  // Of a GuestEvent, with has_pgd: the only process that it is about.
  bool has_pgd = false;
  uint64_t pgd = 0;
};
