#include "subscriptions.h"

#include "code_events.h"
#include "triggers.h"

Subscriptions subscriptions;

// A call needs the physical address as an argument, a trigger as a parameter; a stream only when asked for.
static void UpdatePhysical() {
  bool needed = false;
  for (rebox_event event : {REBOX_MEM_READ, REBOX_MEM_WRITE}) {
    subscriptions.by_kind[event].Each([&](Listener& listener) {
      needed = needed || !listener.stream || listener.trigger || listener.stream->needs_physical() ||
               (listener.filter && listener.filter->needs_physical());
    });
  }
  rebox_want_physical(needed);
}

// Has QEMU leave an event out of the code that no listener's filter lets pass.
static void UpdateSelection(rebox_event event) {
  std::vector<rebox_code_range> ranges;
  rebox_mode mode = REBOX_ANY_MODE;
  bool is_first = true, everywhere = false;
  subscriptions.by_kind[event].Each([&](Listener& listener) {
    const Filter* filter = listener.filter.get();
    rebox_mode its_mode = filter ? filter->mode() : REBOX_ANY_MODE;
    mode = is_first || mode == its_mode ? its_mode : REBOX_ANY_MODE;
    is_first = false;
    if (!filter || filter->code().empty()) {
      everywhere = true;
    } else {
      ranges.insert(ranges.end(), filter->code().begin(), filter->code().end());
    }
  });
  // A trigger sees the events of other processes too, and no filter distinguishes those where code is translated.
  if (subscriptions.everywhere[event]) {
    everywhere = true;
    mode = REBOX_ANY_MODE;
  }
  rebox_select_code(event, everywhere || is_first ? nullptr : ranges.data(), ranges.size(), mode);
}

// Asks of QEMU what the listeners of an event need, after one has changed.
static void UpdateNeeds(int kind) {
  if (kind == REBOX_MEM_READ || kind == REBOX_MEM_WRITE) {
    UpdatePhysical();
  }
  Listener* only = subscriptions.by_kind[kind].FindOnly();
  bool is_filtered = only && only->filter;
  subscriptions.direct[kind] = only && !is_filtered && !only->trigger ? only->stream.get() : nullptr;
  subscriptions.triggered[kind] = only && !is_filtered && only->trigger ? only : nullptr;
  ChooseListeners();
  if (kind == REBOX_MEM_READ || kind == REBOX_MEM_WRITE) {
    Listener* triggered = subscriptions.triggered[kind];
    rebox_sieve_accesses(kind == REBOX_MEM_WRITE, triggered ? triggered->trigger->sieve() : nullptr);
  }
  if (kind == REBOX_BLOCK_BEGIN) {
    Listener* triggered = subscriptions.triggered[kind];
    rebox_tell_blocks(triggered ? triggered->trigger->telling() : REBOX_TELL_ALWAYS);
  }
  if (kind <= REBOX_OPCODE_RANGE) {
    subscriptions.everywhere[kind] = subscriptions.by_kind[kind].AnyTriggerOfAll();
    rebox_watch_everywhere(static_cast<rebox_event>(kind), subscriptions.everywhere[kind]);
    UpdateSelection(static_cast<rebox_event>(kind));
  }
}

uint32_t Subscriptions::Add(std::unique_ptr<Listener> listener) {
  uint32_t id = listener->id = ++last_id_;
  Listener* added = by_kind[listener->kind].Add(std::move(listener));
  by_id[id] = added;
  if (added->kind == REBOX_OPCODE_RANGE) {
    rebox_watch_opcodes(added->first_opcode, added->last_opcode);
    added->subscription = rebox_subscription();
  } else if (added->kind < REBOX_EVENT_COUNT) {
    rebox_watch(static_cast<rebox_event>(added->kind), true);
    added->subscription = rebox_subscription();
    added->skipped_before = rebox_skipped(static_cast<rebox_event>(added->kind));
  }
  UpdateNeeds(added->kind);
  return id;
}

uint32_t Subscriptions::AddHook(std::unique_ptr<Listener> listener, uint64_t address, uint64_t pgd) {
  uint32_t id = listener->id = ++last_id_;
  listener->is_hooked = true;
  listener->hook = rebox_hook(listener->kind == REBOX_BLOCK_BEGIN, address, pgd);
  Listener* added = hooked.Add(std::move(listener));
  by_hook[added->hook] = added;
  by_id[id] = added;
  return id;
}

uint32_t Subscriptions::AddTriggerHook(Listener& listener, uint64_t address, uint64_t pgd) {
  uint32_t hook = rebox_hook(listener.kind == REBOX_BLOCK_BEGIN, address, pgd);
  listener.trigger_hooks.insert(hook);
  by_hook[hook] = &listener;
  return hook;
}

void Subscriptions::RemoveTriggerHook(Listener& listener, uint32_t hook) {
  if (listener.trigger_hooks.erase(hook)) {
    rebox_unhook(hook);
    by_hook.erase(hook);
  }
}

void Subscriptions::RemoveTriggerHooks(Listener& listener) {
  for (uint32_t hook : listener.trigger_hooks) {
    rebox_unhook(hook);
    by_hook.erase(hook);
  }
  listener.trigger_hooks.clear();
}

void Subscriptions::FollowTrigger(Listener& listener) {
  if (!listener.is_hooked && !listener.retired) {
    UpdateNeeds(listener.kind);
  }
}

void Subscriptions::Remove(uint32_t id) {
  Listener* listener = Find(id);
  if (!listener) {
    return;
  }
  SetTrigger(id, nullptr);
  by_id.erase(id);
  if (!listener->retired) {
    Detach(*listener);
    return;
  }
  listener->retired = false;
  // Otherwise the delivery in which it was retired continues, and its end releases the listener.
  if (listener->alive) {
    retired.Kill(listener);
  }
}

void Subscriptions::Retire(Listener& listener) {
  if (listener.alive && !listener.retired) {
    listener.filtered = CountFiltered(listener);
    listener.retired = true;
    Detach(listener);
  }
}

void Subscriptions::Detach(Listener& listener) {
  int kind = listener.kind;
  if (listener.is_hooked) {
    RemoveTriggerHooks(listener);
    rebox_unhook(listener.hook);
    by_hook.erase(listener.hook);
    hooked.Kill(&listener);
    return;
  }
  if (kind == REBOX_OPCODE_RANGE) {
    rebox_ignore_opcodes(listener.first_opcode, listener.last_opcode);
  }
  by_kind[kind].Kill(&listener);
  if (kind < REBOX_EVENT_COUNT && kind != REBOX_OPCODE_RANGE) {
    rebox_watch(static_cast<rebox_event>(kind), by_kind[kind].AnyAlive());
  }
  UpdateNeeds(kind);
}

uint64_t Subscriptions::CountFiltered(const Listener& listener) {
  if (listener.is_hooked || listener.retired || listener.kind >= REBOX_EVENT_COUNT) {
    return listener.filtered;
  }
  return listener.filtered + rebox_skipped(static_cast<rebox_event>(listener.kind)) - listener.skipped_before;
}

Listener* Subscriptions::Find(uint32_t id) {
  auto found = by_id.find(id);
  return found == by_id.end() ? nullptr : found->second;
}

int FindTriggerType(uint32_t listener_id) {
  // By kind.
  static const callback_type_t types[kEventKinds] = {
      BLOCK_BEGIN_CB,  BLOCK_END_CB,  INSN_BEGIN_CB,    INSN_END_CB,   MEM_READ_CB,     MEM_WRITE_CB,
      OPCODE_RANGE_CB, TLB_EXEC_CB,   CONTEXTCHANGE_CB, KEYSTROKE_CB,  NIC_REC_CB,      NIC_SEND_CB,
      CPUID_CB,        CREATEPROC_CB, REMOVEPROC_CB,    LOADMODULE_CB, REMOVEMODULE_CB, EXEC_CB,
  };
  Listener* listener = subscriptions.Find(listener_id);
  if (!listener) {
    return -1;
  }
  if (listener->is_hooked) {
    return listener->kind == REBOX_BLOCK_BEGIN ? OP_BLOCK_BEGIN_CB : OP_INSN_BEGIN_CB;
  }
  return types[listener->kind];
}

Trigger* FindTrigger(uint32_t listener_id) {
  Listener* listener = subscriptions.Find(listener_id);
  return listener ? listener->trigger : nullptr;
}

void SetTrigger(uint32_t listener_id, Trigger* trigger) {
  Listener* listener = subscriptions.Find(listener_id);
  if (!listener) {
    return;
  }
  Trigger* old = listener->trigger;
  listener->trigger = trigger;
  // Without it, the callback would be called at its addresses.
  subscriptions.RemoveTriggerHooks(*listener);
  if (!listener->is_hooked) {
    UpdateNeeds(listener->kind);
  }
  if (old) {
    Trigger::Unload(old);
  }
}
