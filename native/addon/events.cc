#include "events.h"

#include <memory>
#include <unordered_map>
#include <vector>

#include "addon_state.h"
#include "qemu_glue.h"

namespace {

struct Listener {
  uint32_t id = 0;
  Callable function;
  bool alive = true;
  uint32_t hook = 0;
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

// The order is that of EventKind in src/engine/native.ts.
enum EventKind { kBlockBegin, kHookedBlock, kContextChange, kEventKinds };

napi_env environment;
uint32_t last_id;
ListenerList block_begin, context_change, hooked;
std::unordered_map<uint32_t, std::pair<EventKind, Listener*>> by_id;
std::unordered_map<uint32_t, Listener*> by_hook;

Callable failure_handler;
Callable block_factory;

// What every callback gets of its vCPU. The number has no reference: Node-API holds objects only.
struct CpuArguments {
  Callable object;
  napi_value number = nullptr;
  uint64_t number_scope = 0;
};
std::vector<std::unique_ptr<CpuArguments>> cpus;

void Remove(uint32_t id);

void Fire(Listener& listener, size_t argc, const napi_value* argv) {
  ScriptCalls& calls = State().calls;
  napi_value error = nullptr;
  CallResult result = calls.Call(listener.function, argc, argv, &error);
  if (__builtin_expect(result == CallResult::kReturned, 1)) {
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
    cpu.number_scope = State().calls.scope();
  }
  return cpu.number;
}

inline void FireBlock(Listener& listener, int cpu_index, rebox_block* block) {
  ScriptCalls& calls = State().calls;
  calls.PrepareScope();
  napi_value arguments[3] = {CpuNumber(cpu_index), calls.Get(cpus[cpu_index]->object), BlockObject(block)};
  Fire(listener, 3, arguments);
}

inline bool CanDeliver(int cpu_index) {
  return !State().silent && State().calls.HasScope() && static_cast<size_t>(cpu_index) < cpus.size();
}

void OnBlockBegin(void*, int cpu_index, rebox_block* block) {
  if (!CanDeliver(cpu_index)) {
    return;
  }
  block_begin.Each([&](Listener& listener) { FireBlock(listener, cpu_index, block); });
}

void OnHookedBlock(void*, int cpu_index, rebox_block* block, uint32_t hook) {
  auto found = by_hook.find(hook);
  if (found == by_hook.end() || !CanDeliver(cpu_index)) {
    return;
  }
  hooked.One(*found->second, [&](Listener& listener) { FireBlock(listener, cpu_index, block); });
}

void OnForget(void*, rebox_block* block) {
  Callable* object = static_cast<Callable*>(block->user);
  if (!State().silent) {
    State().calls.Release(*object);
  }
  delete object;
}

void OnContextChange(void*, int cpu_index, uint64_t old_pgd, uint64_t new_pgd) {
  if (!CanDeliver(cpu_index)) {
    return;
  }
  ScriptCalls& calls = State().calls;
  context_change.Each([&](Listener& listener) {
    calls.PrepareScope();
    napi_value arguments[3] = {nullptr, nullptr, CpuNumber(cpu_index)};
    napi_create_bigint_uint64(environment, old_pgd, &arguments[0]);
    napi_create_bigint_uint64(environment, new_pgd, &arguments[1]);
    Fire(listener, 3, arguments);
  });
}

// Listens in QEMU to what somebody listens to here, and to nothing else.
void UpdateWatches() {
  rebox_watch_blocks(block_begin.AnyAlive());
  rebox_listen_context_change(context_change.AnyAlive() ? OnContextChange : nullptr, nullptr);
}

void Remove(uint32_t id) {
  auto found = by_id.find(id);
  if (found == by_id.end()) {
    return;
  }
  auto [kind, listener] = found->second;
  by_id.erase(found);
  if (kind == kHookedBlock) {
    rebox_unhook_block(listener->hook);
    by_hook.erase(listener->hook);
    hooked.Kill(listener);
  } else {
    (kind == kBlockBegin ? block_begin : context_change).Kill(listener);
  }
  UpdateWatches();
}

// add(kind, function, address?, pgd?): number, the listener's id
Napi::Value Add(const Napi::CallbackInfo& info) {
  EventKind kind = static_cast<EventKind>(info[0].As<Napi::Number>().Int32Value());
  auto listener = std::make_unique<Listener>();
  uint32_t id = listener->id = ++last_id;
  State().calls.Hold(listener->function, info[1]);
  Listener* added = nullptr;
  if (kind == kHookedBlock) {
    bool lossless;
    listener->hook = rebox_hook_block(info[2].As<Napi::BigInt>().Uint64Value(&lossless),
                                      info[3].As<Napi::BigInt>().Uint64Value(&lossless));
    added = hooked.Add(std::move(listener));
    by_hook[added->hook] = added;
  } else {
    added = (kind == kBlockBegin ? block_begin : context_change).Add(std::move(listener));
  }
  by_id[id] = {kind, added};
  UpdateWatches();
  return Napi::Number::New(info.Env(), id);
}

Napi::Value RemoveById(const Napi::CallbackInfo& info) {
  Remove(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

// setScriptObjects(cpus: object[], blockFactory, onFailure)
Napi::Value SetScriptObjects(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  ScriptCalls& calls = State().calls;
  Napi::Array objects = info[0].As<Napi::Array>();
  environment = env;
  for (uint32_t i = 0; i < objects.Length(); i++) {
    cpus.push_back(std::make_unique<CpuArguments>());
    calls.Hold(cpus.back()->object, objects.Get(i));
  }
  calls.Hold(block_factory, info[1]);
  calls.Hold(failure_handler, info[2]);
  static const rebox_block_listener listener = {nullptr, OnBlockBegin, OnHookedBlock, OnForget};
  rebox_listen_blocks(&listener);
  return env.Undefined();
}

uint64_t ToPgd(const Napi::Value& value) {
  bool lossless;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

Napi::Value Monitor(const Napi::CallbackInfo& info) {
  rebox_monitor(ToPgd(info[0]));
  return info.Env().Undefined();
}

Napi::Value Unmonitor(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), rebox_unmonitor(ToPgd(info[0]), info[1].As<Napi::Boolean>()));
}

Napi::Value IsMonitored(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), rebox_is_monitored(ToPgd(info[0])));
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

Napi::Object InitEvents(Napi::Env env, Napi::Object exports) {
  exports.Set("addListener", Napi::Function::New(env, Add));
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
