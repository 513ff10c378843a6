#include "events.h"

#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

#include "addon_state.h"
#include "engine.h"
#include "event_facts.h"
#include "event_kind.h"
#include "filter.h"
#include "qemu_glue.h"
#include "stream.h"
#include "triggers.h"

namespace {

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

// The listeners of one event. They may come and go while the event is delivered: a new one waits for the next event,
// a removed one is not called again.
class ListenerList {
 public:
  Listener* Add(std::unique_ptr<Listener> listener) {
    list_.push_back(std::move(listener));
    return list_.back().get();
  }

  template <typename Deliver>
  void Each(Deliver deliver) {
    size_t count = list_.size();
    delivering_++;
    for (size_t i = 0; i < count; i++) {
      if (list_[i]->alive) {
        deliver(*list_[i]);
      }
    }
    delivering_--;
    if (dead_ && !delivering_) {
      Sweep();
    }
  }

  template <typename Deliver>
  void One(Listener& listener, Deliver deliver) {
    delivering_++;
    deliver(listener);
    delivering_--;
    if (dead_ && !delivering_) {
      Sweep();
    }
  }

  bool Kill(Listener* listener) {
    for (auto& entry : list_) {
      if (entry.get() == listener) {
        entry->alive = false;
        dead_ = true;
        if (!delivering_) {
          Sweep();
        }
        return true;
      }
    }
    return false;
  }

  bool AnyTrigger() const {
    for (const auto& entry : list_) {
      if (entry->alive && entry->trigger) {
        return true;
      }
    }
    return false;
  }

  bool AnyAlive() const {
    for (const auto& entry : list_) {
      if (entry->alive) {
        return true;
      }
    }
    return false;
  }

 private:
  void Sweep() {
    size_t kept = 0;
    for (size_t i = 0; i < list_.size(); i++) {
      if (list_[i]->alive) {
        std::swap(list_[kept++], list_[i]);
      } else {
        State().calls.Release(list_[i]->function);
      }
    }
    list_.resize(kept);
    dead_ = false;
  }

  std::vector<std::unique_ptr<Listener>> list_;
  int delivering_ = 0;
  bool dead_ = false;
};

napi_env environment;
uint32_t last_id;
// By kind; the address-bound callbacks of a type are kept apart, in hooked.
ListenerList listeners[kEventKinds];
ListenerList hooked;
// By kind: a trigger has QEMU report this event of every process.
bool everywhere[kEventKinds];
std::unordered_map<uint32_t, Listener*> by_id;
std::unordered_map<uint32_t, Listener*> by_hook;

Callable failure_handler;
Callable promise_handler;
Callable block_factory;

// What every callback gets of its vCPU. The number has no reference: Node-API holds objects only.
struct CpuArguments {
  Callable object;
  napi_value number = nullptr;
  uint64_t number_scope = 0;
  // In QEMU's own state of the vCPU.
  const uint64_t* pc = nullptr;
};
std::vector<std::unique_ptr<CpuArguments>> cpus;

void Remove(uint32_t id);

// Holds the guest until the promise has settled: rebox's own function sees to it and calls release().
void WaitFor(Listener& listener, napi_value promise) {
  ScriptCalls& calls = State().calls;
  napi_value error = nullptr;
  napi_value arguments[2] = {nullptr, promise};
  napi_create_uint32(environment, listener.id, &arguments[0]);
  rebox_hold();
  if (calls.Call(promise_handler, 2, arguments, &error) == CallResult::kThrew) {
    rebox_release();
    napi_fatal_exception(environment, error);
  }
}

void Fire(Listener& listener, size_t argc, const napi_value* argv) {
  ScriptCalls& calls = State().calls;
  napi_value error = nullptr;
  listener.calls++;
  napi_value returned = nullptr;
  CallResult result = calls.Call(listener.function, argc, argv, &error, &returned);
  if (__builtin_expect(result == CallResult::kReturned, 1)) {
    bool is_promise = false;
    napi_is_promise(environment, returned, &is_promise);
    if (__builtin_expect(is_promise, 0)) {
      WaitFor(listener, returned);
    }
    return;
  }
  uint32_t id = listener.id;
  if (result == CallResult::kCutOff) {
    // It would only run into the limit again.
    Remove(id);
    napi_get_undefined(environment, &error);
  }
  napi_value arguments[3] = {nullptr, error, nullptr};
  napi_create_uint32(environment, id, &arguments[0]);
  napi_get_boolean(environment, result == CallResult::kCutOff, &arguments[2]);
  if (calls.Call(failure_handler, 3, arguments, &error) == CallResult::kThrew) {
    napi_fatal_exception(environment, error);
  }
}

napi_value BlockObject(rebox_block* block) {
  ScriptCalls& calls = State().calls;
  Callable* object = static_cast<Callable*>(block->user);
  if (__builtin_expect(object != nullptr, 1)) {
    return calls.Get(*object);
  }
  napi_value arguments[3], undefined, created = nullptr;
  napi_create_bigint_uint64(environment, block->pc, &arguments[0]);
  napi_create_uint32(environment, block->size, &arguments[1]);
  napi_create_uint32(environment, block->icount, &arguments[2]);
  napi_get_undefined(environment, &undefined);
  // Not Call(): the factory is rebox's own, does not throw, and its result is needed.
  if (napi_call_function(environment, undefined, calls.Get(block_factory), 3, arguments, &created) != napi_ok) {
    napi_get_and_clear_last_exception(environment, &created);
    return undefined;
  }
  object = new Callable;
  calls.Hold(*object, created);
  block->user = object;
  return calls.Get(*object);
}

napi_value CpuNumber(int cpu_index) {
  CpuArguments& cpu = *cpus[cpu_index];
  if (cpu.number_scope != State().calls.scope()) {
    napi_create_int32(environment, cpu_index, &cpu.number);
    cpu.number_scope = State().calls.scope_to_remember();
  }
  return cpu.number;
}

inline bool CanDeliver(int cpu_index) {
  return !State().silent && State().calls.HasScope() && static_cast<size_t>(cpu_index) < cpus.size();
}

napi_value BigInt(uint64_t value) {
  napi_value result = nullptr;
  napi_create_bigint_uint64(environment, value, &result);
  return result;
}

napi_value Number(uint32_t value) {
  napi_value result = nullptr;
  napi_create_uint32(environment, value, &result);
  return result;
}

EventFacts FactsOfCode(int cpu_index) {
  EventFacts facts;
  facts.cpu_index = cpu_index;
  facts.pc = facts.address = *cpus[cpu_index]->pc;
  static const uint64_t* const pgds = rebox_current_pgds();
  facts.pgd = pgds[cpu_index];
  facts.icount = 1;
  return facts;
}

void HandOver(Listener& listener) {
  if (listener.stream->Publish()) {
    State().calls.PrepareScope();
    Fire(listener, 0, nullptr);
    listener.stream->Clear();
  }
}

// Whether the event being reported is one for listeners without a trigger. Ask before the first is called.
inline bool IsForAll(rebox_event event) { return !everywhere[event] || rebox_told.monitored; }

bool PassesFilter(Listener& listener, EventFacts facts) {
  facts.is_kernel = rebox_is_kernel(facts.cpu_index);
  if (listener.filter->Accepts(facts)) {
    return true;
  }
  listener.filtered++;
  return false;
}

// Everything that can be decided without the script: process, filter, trigger, stream; in this order, because each
// costs more than the one before. True when the script is to be called.
template <typename MakeFacts, typename MakeParams>
inline bool IsForScript(Listener& listener, bool is_for_all, MakeFacts make_facts, MakeParams make_params) {
  if ((!is_for_all && !listener.trigger) || (listener.filter && !PassesFilter(listener, make_facts())) ||
      (listener.trigger && !listener.trigger->Passes(make_params))) {
    return false;
  }
  if (listener.stream) {
    if (!listener.stream->Append(make_facts())) {
      HandOver(listener);
    }
    return false;
  }
  return true;
}

// Calls every listener of an event that wants it; arguments are made anew for each, because the scope may be.
template <typename MakeFacts, typename MakeArguments, typename MakeParams>
inline void FireAll(rebox_event event, int cpu_index, MakeFacts make_facts, MakeArguments make_arguments,
                    MakeParams make_params) {
  if (!CanDeliver(cpu_index)) {
    return;
  }
  bool is_for_all = IsForAll(event);
  listeners[event].Each([&](Listener& listener) {
    if (!IsForScript(listener, is_for_all, make_facts, make_params)) {
      return;
    }
    State().calls.PrepareScope();
    napi_value arguments[5];
    size_t count = make_arguments(arguments);
    Fire(listener, count, arguments);
  });
}

inline napi_value CpuObject(int cpu_index) { return State().calls.Get(cpus[cpu_index]->object); }

EventFacts FactsOfBlock(int cpu_index, const rebox_block* block) {
  EventFacts facts = FactsOfCode(cpu_index);
  facts.pc = facts.address = block->pc;
  facts.size = block->size;
  facts.icount = block->icount;
  return facts;
}

EventFacts FactsOfAccess(int cpu_index, const rebox_access* access) {
  EventFacts facts = FactsOfCode(cpu_index);
  facts.address = access->vaddr;
  facts.physical = access->paddr;
  facts.size = access->size;
  facts.data = access->data[0];
  facts.icount = 0;
  return facts;
}

void OnBlockBegin(void*, int cpu_index, rebox_block* block) {
  FireAll(REBOX_BLOCK_BEGIN, cpu_index, [&] { return FactsOfBlock(cpu_index, block); }, [&](napi_value* arguments) {
    arguments[0] = CpuNumber(cpu_index);
    arguments[1] = CpuObject(cpu_index);
    arguments[2] = BlockObject(block);
    return 3;
  }, [&] { return BlockBeginParams(cpu_index, block); });
}

void OnBlockEnd(void*, int cpu_index, rebox_block* block, uint64_t cur_pc, uint64_t next_pc) {
  FireAll(REBOX_BLOCK_END, cpu_index, [&] { return FactsOfBlock(cpu_index, block); }, [&](napi_value* arguments) {
    arguments[0] = CpuNumber(cpu_index);
    arguments[1] = CpuObject(cpu_index);
    arguments[2] = BlockObject(block);
    arguments[3] = BigInt(cur_pc);
    arguments[4] = BigInt(next_pc);
    return 5;
  }, [&] { return BlockEndParams(cpu_index, block, cur_pc, next_pc); });
}

void FireInsn(rebox_event event, int cpu_index) {
  FireAll(event, cpu_index, [&] { return FactsOfCode(cpu_index); }, [&](napi_value* arguments) {
    arguments[0] = CpuNumber(cpu_index);
    arguments[1] = CpuObject(cpu_index);
    return 2;
  }, [&] { return InsnParams(cpu_index); });
}

void OnInsnBegin(void*, int cpu_index) { FireInsn(REBOX_INSN_BEGIN, cpu_index); }

void OnInsnEnd(void*, int cpu_index) { FireInsn(REBOX_INSN_END, cpu_index); }

void OnAccess(void*, int cpu_index, bool is_write, const rebox_access* access) {
  FireAll(is_write ? REBOX_MEM_WRITE : REBOX_MEM_READ, cpu_index, [&] { return FactsOfAccess(cpu_index, access); }, [&](napi_value* arguments) {
    arguments[0] = CpuNumber(cpu_index);
    arguments[1] = BigInt(access->vaddr);
    arguments[2] = Number(access->size);
    arguments[3] = BigInt(access->paddr);
    if (!is_write) {
      return 4;
    }
    napi_create_bigint_words(environment, 0, access->size > 8 ? 2 : 1, access->data, &arguments[4]);
    return 5;
  }, [&] { return AccessParams(cpu_index, access); });
}

void OnOpcode(void*, int cpu_index, uint16_t opcode, uint64_t pc, uint64_t next_pc) {
  if (!CanDeliver(cpu_index)) {
    return;
  }
  bool is_for_all = IsForAll(REBOX_OPCODE_RANGE);
  listeners[REBOX_OPCODE_RANGE].Each([&](Listener& listener) {
    if (opcode < listener.first_opcode || opcode > listener.last_opcode) {
      return;
    }
    auto make_facts = [&] {
      EventFacts facts = FactsOfCode(cpu_index);
      facts.pc = facts.address = pc;
      facts.data = opcode;
      return facts;
    };
    if (!IsForScript(listener, is_for_all, make_facts,
                     [&] { return OpcodeParams(cpu_index, opcode, pc, next_pc); })) {
      return;
    }
    State().calls.PrepareScope();
    napi_value arguments[4] = {CpuNumber(cpu_index), CpuObject(cpu_index), BigInt(pc), BigInt(next_pc)};
    Fire(listener, 4, arguments);
  });
}

void OnHooked(void*, int cpu_index, rebox_block* block, uint32_t hook) {
  auto found = by_hook.find(hook);
  if (found == by_hook.end() || !CanDeliver(cpu_index)) {
    return;
  }
  hooked.One(*found->second, [&](Listener& listener) {
    if (!IsForScript(
            listener, true, [&] { return block ? FactsOfBlock(cpu_index, block) : FactsOfCode(cpu_index); },
            [&] { return block ? BlockBeginParams(cpu_index, block) : InsnParams(cpu_index); })) {
      return;
    }
    State().calls.PrepareScope();
    napi_value arguments[3] = {CpuNumber(cpu_index), CpuObject(cpu_index), block ? BlockObject(block) : nullptr};
    Fire(listener, block ? 3 : 2, arguments);
  });
}

void OnForget(void*, rebox_block* block) {
  Callable* object = static_cast<Callable*>(block->user);
  if (!State().silent) {
    State().calls.Release(*object);
  }
  delete object;
}

void OnTlbFill(void*, int cpu_index, uint64_t vaddr) {
  FireAll(REBOX_TLB_EXEC, cpu_index, [&] {
    EventFacts facts = FactsOfCode(cpu_index);
    facts.address = vaddr;
    facts.icount = 0;
    return facts;
  }, [&](napi_value* arguments) {
    arguments[0] = CpuObject(cpu_index);
    arguments[1] = BigInt(vaddr);
    return 2;
  }, [&] { return TlbParams(cpu_index, vaddr); });
}

void OnContextChange(void*, int cpu_index, uint64_t old_pgd, uint64_t new_pgd) {
  FireAll(REBOX_CONTEXT_CHANGE, cpu_index, [&] {
    EventFacts facts = FactsOfCode(cpu_index);
    // A stream has the address space that was left as data.
    facts.pgd = new_pgd;
    facts.data = old_pgd;
    facts.icount = 0;
    return facts;
  }, [&](napi_value* arguments) {
    arguments[0] = BigInt(old_pgd);
    arguments[1] = BigInt(new_pgd);
    arguments[2] = CpuNumber(cpu_index);
    return 3;
  }, [&] { return ContextParams(old_pgd, new_pgd); });
}

// Devices work on threads of their own: their events are copied and delivered by the event loop.
struct DeviceEvent {
  rebox_event event;
  std::vector<uint8_t> bytes;
  uint64_t numbers[4];
};

TriggerParams DeviceParams(DeviceEvent& message) {
  const uint64_t* numbers = message.numbers;
  if (message.event == REBOX_KEYSTROKE) {
    return {{numbers[0]}};
  }
  if (message.event == REBOX_NIC_SEND) {
    return {{ToWord(message.bytes.data()), message.bytes.size(), numbers[0]}};
  }
  return {{ToWord(message.bytes.data()), message.bytes.size(), numbers[1], numbers[2], numbers[3]}};
}

void DeliverDeviceEvent(std::unique_ptr<DeviceEvent> message) {
  FireAll(message->event, 0, [] { return EventFacts(); }, [&](napi_value* arguments) -> size_t {
    if (message->event == REBOX_KEYSTROKE) {
      arguments[0] = Number(static_cast<uint32_t>(message->numbers[0]));
      return 1;
    }
    napi_value buffer = nullptr;
    napi_create_buffer_copy(environment, message->bytes.size(), message->bytes.data(), nullptr, &buffer);
    napi_value size = Number(static_cast<uint32_t>(message->bytes.size()));
    if (message->event == REBOX_NIC_SEND) {
      arguments[0] = BigInt(message->numbers[0]);
      arguments[1] = size;
      arguments[2] = buffer;
      return 3;
    }
    arguments[0] = buffer;
    arguments[1] = size;
    for (int i = 1; i <= 3; i++) {
      arguments[i + 1] = BigInt(message->numbers[i]);
    }
    return 5;
  }, [&] { return DeviceParams(*message); });
}

void PostDeviceEvent(std::unique_ptr<DeviceEvent> message) {
  DeviceEvent* released = message.release();
  PostToEventLoop([released] { DeliverDeviceEvent(std::unique_ptr<DeviceEvent>(released)); });
}

void OnKeystroke(void*, uint32_t keycode) {
  PostDeviceEvent(std::unique_ptr<DeviceEvent>(new DeviceEvent{REBOX_KEYSTROKE, {}, {keycode, 0, 0, 0}}));
}

void PostFrame(rebox_event event, const rebox_frame* frame) {
  std::vector<uint8_t> bytes(frame->bytes, frame->bytes + frame->size);
  PostDeviceEvent(std::unique_ptr<DeviceEvent>(
      new DeviceEvent{event, std::move(bytes), {frame->address, frame->current, frame->start, frame->stop}}));
}

void OnFrameSent(void*, const rebox_frame* frame) { PostFrame(REBOX_NIC_SEND, frame); }

void OnFrameReceived(void*, const rebox_frame* frame) { PostFrame(REBOX_NIC_REC, frame); }

const rebox_listener kListener = {
    nullptr,    OnBlockBegin, OnBlockEnd,      OnInsnBegin, OnInsnEnd,   OnAccess,        OnOpcode,
    OnHooked,   OnForget,     OnTlbFill,       OnContextChange, OnKeystroke, OnFrameSent, OnFrameReceived,
};

// A call needs the physical address as an argument, a trigger as a parameter; a stream only when asked for.
void UpdatePhysical() {
  bool needed = false;
  for (rebox_event event : {REBOX_MEM_READ, REBOX_MEM_WRITE}) {
    listeners[event].Each([&](Listener& listener) {
      needed = needed || !listener.stream || listener.trigger || listener.stream->needs_physical() ||
               (listener.filter && listener.filter->needs_physical());
    });
  }
  rebox_want_physical(needed);
}

void Remove(uint32_t id) {
  auto found = by_id.find(id);
  if (found == by_id.end()) {
    return;
  }
  SetTrigger(id, nullptr);
  Listener* listener = found->second;
  int kind = listener->kind;
  by_id.erase(id);
  if (listener->hook) {
    rebox_unhook(listener->hook);
    by_hook.erase(listener->hook);
    hooked.Kill(listener);
    return;
  }
  if (kind == REBOX_OPCODE_RANGE) {
    rebox_ignore_opcodes(listener->first_opcode, listener->last_opcode);
  }
  listeners[kind].Kill(listener);
  if (kind < REBOX_EVENT_COUNT && kind != REBOX_OPCODE_RANGE) {
    // Listened to in QEMU is what somebody listens to here, and nothing else.
    rebox_watch(static_cast<rebox_event>(kind), listeners[kind].AnyAlive());
    UpdatePhysical();
  }
}

uint64_t ToUint64(const Napi::Value& value) {
  bool lossless;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

uint64_t NumberWord(const Napi::Value& number) {
  return static_cast<uint64_t>(number.As<Napi::Number>().Int64Value());
}

// addListener(event, function, filter?, columns?, drop?): number, the listener's id
Napi::Value Add(const Napi::CallbackInfo& info) {
  auto listener = std::make_unique<Listener>();
  uint32_t id = listener->id = ++last_id;
  listener->kind = info[0].As<Napi::Number>().Int32Value();
  State().calls.Hold(listener->function, info[1]);
  listener->filter = Filter::From(info[2]);
  if (info[3].IsObject()) {
    listener->stream = Stream::From(info[3], info[4].As<Napi::Boolean>());
  }
  int kind = listener->kind;
  by_id[id] = listeners[kind].Add(std::move(listener));
  rebox_watch(static_cast<rebox_event>(kind), true);
  UpdatePhysical();
  return Napi::Number::New(info.Env(), id);
}

// addHook(event, function, address, pgd, filter?): number
Napi::Value AddHook(const Napi::CallbackInfo& info) {
  auto listener = std::make_unique<Listener>();
  uint32_t id = listener->id = ++last_id;
  listener->kind = info[0].As<Napi::Number>().Int32Value();
  State().calls.Hold(listener->function, info[1]);
  listener->filter = Filter::From(info[4]);
  listener->hook = rebox_hook(listener->kind == REBOX_BLOCK_BEGIN, ToUint64(info[2]), ToUint64(info[3]));
  Listener* added = hooked.Add(std::move(listener));
  by_hook[added->hook] = added;
  by_id[id] = added;
  return Napi::Number::New(info.Env(), id);
}

// addOpcodes(function, first, last, filter?, columns?, drop?): number
Napi::Value AddOpcodes(const Napi::CallbackInfo& info) {
  auto listener = std::make_unique<Listener>();
  uint32_t id = listener->id = ++last_id;
  listener->kind = REBOX_OPCODE_RANGE;
  State().calls.Hold(listener->function, info[0]);
  listener->first_opcode = info[1].As<Napi::Number>().Uint32Value();
  listener->last_opcode = info[2].As<Napi::Number>().Uint32Value();
  listener->filter = Filter::From(info[3]);
  if (info[4].IsObject()) {
    listener->stream = Stream::From(info[4], info[5].As<Napi::Boolean>());
  }
  rebox_watch_opcodes(listener->first_opcode, listener->last_opcode);
  by_id[id] = listeners[REBOX_OPCODE_RANGE].Add(std::move(listener));
  return Napi::Number::New(info.Env(), id);
}

// addGuestListener(kind, function, filter?, pgd?): number
Napi::Value AddGuestListener(const Napi::CallbackInfo& info) {
  auto listener = std::make_unique<Listener>();
  uint32_t id = listener->id = ++last_id;
  int kind = listener->kind = info[0].As<Napi::Number>().Int32Value();
  State().calls.Hold(listener->function, info[1]);
  listener->filter = Filter::From(info[2]);
  listener->has_pgd = info[3].IsBigInt();
  if (listener->has_pgd) {
    listener->pgd = ToUint64(info[3]);
  }
  by_id[id] = listeners[kind].Add(std::move(listener));
  return Napi::Number::New(info.Env(), id);
}

// A scope for calls where the event loop called the addon; one in a callback has the slice's.
class CallScope {
 public:
  CallScope() : own_(!State().calls.HasScope()) {
    if (own_) {
      State().calls.OpenScope();
    }
  }
  ~CallScope() {
    if (own_) {
      State().calls.CloseScope();
    }
  }

 private:
  const bool own_;
};

// Calls the listeners of an event of the guest's system, or the only one, with what TypeScript has given.
template <typename MakeParams>
void RaiseGuestEvent(int kind, uint64_t pgd, const Napi::Value& only, const napi_value* arguments, size_t count,
                     MakeParams make_params) {
  if (State().silent) {
    return;
  }
  CallScope scope;
  uint32_t only_id = only.IsNumber() ? only.As<Napi::Number>().Uint32Value() : 0;
  auto make_facts = [&] {
    EventFacts facts;
    facts.pgd = pgd;
    return facts;
  };
  listeners[kind].Each([&](Listener& listener) {
    if ((only_id && listener.id != only_id) || (listener.has_pgd && listener.pgd != pgd) ||
        !IsForScript(listener, true, make_facts, make_params)) {
      return;
    }
    State().calls.PrepareScope();
    Fire(listener, count, arguments);
  });
}

// raiseProcessEvent(kind, pid, pgd, name, listenerId?)
Napi::Value RaiseProcessEvent(const Napi::CallbackInfo& info) {
  uint64_t pgd = ToUint64(info[2]);
  napi_value arguments[] = {info[1], info[2], info[3]};
  std::string name;
  RaiseGuestEvent(info[0].As<Napi::Number>().Int32Value(), pgd, info[4], arguments, 3, [&] {
    name = info[3].As<Napi::String>();
    return TriggerParams{{NumberWord(info[1]), pgd, ToWord(name.data())}};
  });
  return info.Env().Undefined();
}

// raiseModuleEvent(kind, pid, pgd, base, size, name, fullname, listenerId?)
Napi::Value RaiseModuleEvent(const Napi::CallbackInfo& info) {
  uint64_t pgd = ToUint64(info[2]);
  napi_value arguments[] = {info[1], info[2], info[3], info[4], info[5], info[6]};
  std::string name, fullname;
  RaiseGuestEvent(info[0].As<Napi::Number>().Int32Value(), pgd, info[7], arguments, 6, [&] {
    name = info[5].As<Napi::String>();
    fullname = info[6].As<Napi::String>();
    return TriggerParams{{NumberWord(info[1]), pgd, ToUint64(info[3]), NumberWord(info[4]), ToWord(name.data()),
                          ToWord(fullname.data())}};
  });
  return info.Env().Undefined();
}

// isListenedTo(kind): boolean
Napi::Value IsListenedTo(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), listeners[info[0].As<Napi::Number>().Int32Value()].AnyAlive());
}

Napi::Value RemoveById(const Napi::CallbackInfo& info) {
  Remove(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

const uint64_t* FindProgramCounter(int cpu_index) {
  size_t count = 0, size = 0;
  const rebox_register* registers = rebox_registers(&count);
  char* state = static_cast<char*>(rebox_cpu_state(cpu_index, &size));
  for (size_t i = 0; i < count; i++) {
    if (strcmp(registers[i].name, "RIP") == 0) {
      return reinterpret_cast<uint64_t*>(state + registers[i].offset);
    }
  }
  return nullptr;
}

// statistics(id): [calls, filtered]
Napi::Value Statistics(const Napi::CallbackInfo& info) {
  Napi::Array numbers = Napi::Array::New(info.Env(), 2);
  auto found = by_id.find(info[0].As<Napi::Number>().Uint32Value());
  bool known = found != by_id.end();
  numbers.Set(0u, Napi::Number::New(info.Env(), known ? static_cast<double>(found->second->calls) : 0));
  numbers.Set(1u, Napi::Number::New(info.Env(), known ? static_cast<double>(found->second->filtered) : 0));
  return numbers;
}

// release(): ends one hold
Napi::Value Release(const Napi::CallbackInfo& info) {
  rebox_release();
  return info.Env().Undefined();
}

// setScriptObjects(cpus: object[], blockFactory, onFailure, onPromise)
Napi::Value SetScriptObjects(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  ScriptCalls& calls = State().calls;
  Napi::Array objects = info[0].As<Napi::Array>();
  environment = env;
  for (uint32_t i = 0; i < objects.Length(); i++) {
    cpus.push_back(std::make_unique<CpuArguments>());
    calls.Hold(cpus.back()->object, objects.Get(i));
    cpus.back()->pc = FindProgramCounter(i);
  }
  calls.Hold(block_factory, info[1]);
  calls.Hold(failure_handler, info[2]);
  calls.Hold(promise_handler, info[3]);
  rebox_listen(&kListener);
  return env.Undefined();
}

Napi::Value Monitor(const Napi::CallbackInfo& info) {
  rebox_monitor(ToUint64(info[0]));
  return info.Env().Undefined();
}

Napi::Value Unmonitor(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), rebox_unmonitor(ToUint64(info[0]), info[1].As<Napi::Boolean>()));
}

Napi::Value IsMonitored(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), rebox_is_monitored(ToUint64(info[0])));
}

Napi::Value CurrentPgd(const Napi::CallbackInfo& info) {
  return Napi::BigInt::New(info.Env(), rebox_current_pgd(info[0].As<Napi::Number>().Int32Value()));
}

Napi::Value CountBlocks(const Napi::CallbackInfo& info) {
  rebox_count_blocks(info[0].As<Napi::Boolean>());
  return info.Env().Undefined();
}

Napi::Value BlockCount(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(rebox_block_count()));
}

}  // namespace

void HandOverStreams() {
  for (ListenerList& list : listeners) {
    list.Each([](Listener& listener) {
      if (listener.stream) {
        HandOver(listener);
      }
    });
  }
}

int FindTriggerType(uint32_t listener_id) {
  // By kind.
  static const callback_type_t types[kEventKinds] = {
      BLOCK_BEGIN_CB,  BLOCK_END_CB,   INSN_BEGIN_CB,    INSN_END_CB,     MEM_READ_CB, MEM_WRITE_CB,
      OPCODE_RANGE_CB, TLB_EXEC_CB,    CONTEXTCHANGE_CB, KEYSTROKE_CB,    NIC_REC_CB,  NIC_SEND_CB,
      CREATEPROC_CB,   REMOVEPROC_CB,  LOADMODULE_CB,    REMOVEMODULE_CB,
  };
  auto found = by_id.find(listener_id);
  if (found == by_id.end()) {
    return -1;
  }
  const Listener& listener = *found->second;
  if (listener.hook) {
    return listener.kind == REBOX_BLOCK_BEGIN ? OP_BLOCK_BEGIN_CB : OP_INSN_BEGIN_CB;
  }
  return types[listener.kind];
}

Trigger* FindTrigger(uint32_t listener_id) {
  auto found = by_id.find(listener_id);
  return found == by_id.end() ? nullptr : found->second->trigger;
}

void SetTrigger(uint32_t listener_id, Trigger* trigger) {
  auto found = by_id.find(listener_id);
  if (found == by_id.end()) {
    return;
  }
  Listener& listener = *found->second;
  Trigger* old = listener.trigger;
  listener.trigger = trigger;
  UpdatePhysical();
  int kind = listener.kind;
  if (!listener.hook && kind <= REBOX_OPCODE_RANGE) {
    everywhere[kind] = listeners[kind].AnyTrigger();
    rebox_watch_everywhere(static_cast<rebox_event>(kind), everywhere[kind]);
  }
  if (old) {
    Trigger::Unload(old);
  }
}

Napi::Object InitEvents(Napi::Env env, Napi::Object exports) {
  exports.Set("addListener", Napi::Function::New(env, Add));
  exports.Set("releaseGuest", Napi::Function::New(env, Release));
  exports.Set("statistics", Napi::Function::New(env, Statistics));
  exports.Set("addHook", Napi::Function::New(env, AddHook));
  exports.Set("addOpcodes", Napi::Function::New(env, AddOpcodes));
  exports.Set("addGuestListener", Napi::Function::New(env, AddGuestListener));
  exports.Set("raiseProcessEvent", Napi::Function::New(env, RaiseProcessEvent));
  exports.Set("raiseModuleEvent", Napi::Function::New(env, RaiseModuleEvent));
  exports.Set("isListenedTo", Napi::Function::New(env, IsListenedTo));
  exports.Set("removeListener", Napi::Function::New(env, RemoveById));
  exports.Set("setScriptObjects", Napi::Function::New(env, SetScriptObjects));
  exports.Set("monitor", Napi::Function::New(env, Monitor));
  exports.Set("unmonitor", Napi::Function::New(env, Unmonitor));
  exports.Set("isMonitored", Napi::Function::New(env, IsMonitored));
  exports.Set("currentPgd", Napi::Function::New(env, CurrentPgd));
  exports.Set("countBlocks", Napi::Function::New(env, CountBlocks));
  exports.Set("blockCount", Napi::Function::New(env, BlockCount));
  return exports;
}
