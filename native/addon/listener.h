// One callback or stream, as the addon keeps it.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_set>

#include "event_kind.h"
#include "filter.h"
#include "sampled_clock.h"
#include "script_calls.h"
#include "stream.h"

class CallEntry;
class GuestCondition;
class ProcessHook;
class ProcessJournal;
class SetRemover;
class Trigger;

struct Listener {
  Listener();
  ~Listener();

  uint32_t id = 0;
  // A rebox_event or a GuestEvent.
  int kind = REBOX_BLOCK_BEGIN;
  // When it subscribed; see rebox_subscription(). Not 0, which is nobody's.
  uint64_t subscription = 1;
  Callable function;
  bool alive = true;
  // Not delivered to any more, but still listed: its filter will let nothing through.
  bool retired = false;
  // Is told also while a replay executes once more what leads to a place.
  bool hears_travel = false;
  // Asked before the function is called, about the events of every process.
  Trigger* trigger = nullptr;
  // The trigger has let the event being delivered pass, and is not to be asked again.
  bool has_passed = false;
  // With an address: its hook in QEMU, 0 when it is gone.
  bool is_hooked = false;
  uint32_t hook = 0;
  // The further addresses that its trigger has asked for: their hooks in QEMU.
  std::unordered_set<uint32_t> trigger_hooks;
  // Of a hook: decides before the function is called, which then is not.
  std::unique_ptr<ProcessHook> process_hook;
  // Of a hook: notes in place of a call.
  std::unique_ptr<ProcessJournal> process_journal;
  // Of a hook: takes its argument out of a set in place of a call.
  std::unique_ptr<SetRemover> set_remover;
  // Of a hook where system calls enter: notes, and decides whether there is a call.
  std::unique_ptr<CallEntry> call_entry;
  std::unique_ptr<Filter> filter;
  // Of a hook: holds when its function is to be called.
  std::unique_ptr<GuestCondition> condition;
  // Takes the events in place of a call for each; function is its handler then.
  std::unique_ptr<Stream> stream;
  // Turns are calls.
  SampledClock script_time;
  // Of filter and trigger. Turns are the events that they were asked about.
  SampledClock native_time;
  uint64_t filtered = 0;
  // QEMU's count of skipped events when it was added.
  uint64_t skipped_before = 0;
  // Of REBOX_OPCODE_RANGE.
  uint16_t first_opcode = 0;
  uint16_t last_opcode = 0;
  // Of a GuestEvent, with has_pgd: the only process that it is about.
  bool has_pgd = false;
  uint64_t pgd = 0;
};
