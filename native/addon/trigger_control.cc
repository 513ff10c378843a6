#include <cstring>

#include "dispatch.h"
#include "guest_clock.h"
#include "subscriptions.h"
#include "trigger_store.h"
#include "triggers.h"

using Kind = TriggerVariable::Kind;

namespace {

// The reason for everything that asks a trigger that is not there: what follows "the trigger of a callback".
constexpr char kNoTrigger[] = "is not there any more: it was removed, or its callback was";

// Detaches a trigger that has thrown, and reports a failure of its callback.
void OnThrown(Trigger* trigger, uint32_t listener_id, const std::string& what) {
  if (FindTrigger(listener_id) == trigger) {
    SetTrigger(listener_id, nullptr);
  }
  ReportTriggerFailure(listener_id, what);
}

uint32_t ListenerId(const Napi::CallbackInfo& info) { return info[0].As<Napi::Number>().Uint32Value(); }

// attachTrigger(listenerId, path): string | undefined, the reason when it is refused
Napi::Value Attach(const Napi::CallbackInfo& info) {
  uint32_t id = ListenerId(info);
  int type = FindTriggerType(id);
  std::string error;
  if (type < 0) {
    return Napi::String::New(info.Env(), "there is no such callback any more");
  }
  Trigger* trigger =
      Trigger::Load(info[1].As<Napi::String>(), static_cast<callback_type_t>(type), id, OnThrown, &error);
  if (!trigger) {
    return Napi::String::New(info.Env(), error);
  }
  SetTrigger(id, trigger);
  return info.Env().Undefined();
}

// detachTrigger(listenerId)
Napi::Value Detach(const Napi::CallbackInfo& info) {
  SetTrigger(ListenerId(info), nullptr);
  return info.Env().Undefined();
}

// setTriggerVar(listenerId, name, value: bigint | string | Uint8Array): string | undefined, the reason when it is not
// set
Napi::Value SetVar(const Napi::CallbackInfo& info) {
  Trigger* trigger = FindTrigger(ListenerId(info));
  std::string name = info[1].As<Napi::String>();
  if (!trigger) {
    return Napi::String::New(info.Env(), kNoTrigger);
  }
  if (info[2].IsBigInt()) {
    bool lossless = false;
    set_var_uint64(trigger->handle(), name.c_str(), info[2].As<Napi::BigInt>().Uint64Value(&lossless));
  } else if (info[2].IsString()) {
    set_var_string(trigger->handle(), name.c_str(), info[2].As<Napi::String>().Utf8Value().c_str());
  } else {
    Napi::Uint8Array bytes = info[2].As<Napi::Uint8Array>();
    set_var_bytes(trigger->handle(), name.c_str(), bytes.Data(), bytes.ByteLength());
  }
  return info.Env().Undefined();
}

// getTriggerVar(listenerId, name): bigint | string | Uint8Array | undefined
Napi::Value GetVar(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Trigger* trigger = FindTrigger(ListenerId(info));
  std::string name = info[1].As<Napi::String>();
  TriggerVariable* variable =
      trigger ? FindTriggerVariable(FindTriggerStore(trigger->handle()), name.c_str()) : nullptr;
  if (!variable) {
    return env.Undefined();
  }
  switch (variable->kind) {
    case Kind::kPointer:
      return Napi::BigInt::New(env, static_cast<uint64_t>(reinterpret_cast<uintptr_t>(variable->value)));
    case Kind::kUint64: {
      uint64_t value = 0;
      memcpy(&value, variable->value, sizeof(value));
      return Napi::BigInt::New(env, value);
    }
    case Kind::kString: {
      const char* text = static_cast<const char*>(variable->value);
      return Napi::String::New(env, text, strnlen(text, variable->size));
    }
    default: {
      Napi::ArrayBuffer copy = Napi::ArrayBuffer::New(env, variable->size);
      if (variable->size) {
        memcpy(copy.Data(), variable->value, variable->size);
      }
      return Napi::Uint8Array::New(env, variable->size, copy, 0);
    }
  }
}

// callTriggerFunction(listenerId, name): string | undefined, the reason when it cannot be called or has thrown
Napi::Value CallFunction(const Napi::CallbackInfo& info) {
  Trigger* trigger = FindTrigger(ListenerId(info));
  std::string error = kNoTrigger;
  if (trigger && trigger->Call(info[1].As<Napi::String>(), &error)) {
    return info.Env().Undefined();
  }
  return Napi::String::New(info.Env(), error);
}

// Prints what triggers print: (kind, text).
Callable printer;

// setTriggerPrinter(print)
Napi::Value SetPrinter(const Napi::CallbackInfo& info) {
  State().calls.Hold(printer, info[0]);
  return info.Env().Undefined();
}

// hasTrigger(listenerId): boolean
Napi::Value HasTrigger(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), FindTrigger(ListenerId(info)) != nullptr);
}

}  // namespace

extern "C" void rebox_trigger_print(rebox_print_kind kind, const char* text) {
  ScriptCalls& calls = State().calls;
  if (State().silent || !printer.reference || !text) {
    return;
  }
  bool own_scope = !calls.HasScope();
  if (own_scope) {
    calls.OpenScope();
  }
  napi_value error = nullptr;
  napi_value arguments[2] = {script_objects.Number(kind), nullptr};
  napi_create_string_utf8(script_objects.env, text, NAPI_AUTO_LENGTH, &arguments[1]);
  if (calls.Call(printer, 2, arguments, &error) == CallResult::kThrew) {
    napi_fatal_exception(script_objects.env, error);
  }
  if (own_scope) {
    calls.CloseScope();
  }
}

// The listener of a trigger at work, when it is one with an address.
static Listener* FindHookedListener(callback_handle_t handle) {
  TriggerStore* store = FindTriggerStore(handle);
  Listener* listener = store ? subscriptions.Find(store->trigger->listener_id()) : nullptr;
  return listener && listener->is_hooked && listener->trigger == store->trigger ? listener : nullptr;
}

extern "C" uint32_t rebox_trigger_hook(callback_handle_t handle, pyrebox_target_ulong address,
                                       pyrebox_target_ulong pgd) {
  Listener* listener = FindHookedListener(handle);
  return listener ? subscriptions.AddTriggerHook(*listener, address, pgd) : 0;
}

extern "C" void rebox_trigger_unhook(callback_handle_t handle, uint32_t hook) {
  if (Listener* listener = FindHookedListener(handle)) {
    subscriptions.RemoveTriggerHook(*listener, hook);
  }
}

extern "C" void rebox_trigger_ask(callback_handle_t handle, rebox_telling how) {
  TriggerStore* store = FindTriggerStore(handle);
  if (!store || store->trigger->telling() == how) {
    return;
  }
  store->trigger->set_telling(how);
  Listener* listener = subscriptions.Find(store->trigger->listener_id());
  // Before it is attached, and while it is detached, it is not the listener's.
  if (listener && listener->trigger == store->trigger) {
    subscriptions.FollowTrigger(*listener);
  }
}

extern "C" void rebox_trigger_ask_again(callback_handle_t, pyrebox_target_ulong pgd) { rebox_tell_blocks_again(pgd); }

extern "C" uint64_t rebox_trigger_clock_ns(void) { return ReadGuestClockNs(); }

Napi::Object InitTriggers(Napi::Env env, Napi::Object exports) {
  exports.Set("attachTrigger", Napi::Function::New(env, Attach));
  exports.Set("setTriggerPrinter", Napi::Function::New(env, SetPrinter));
  exports.Set("hasTrigger", Napi::Function::New(env, HasTrigger));
  exports.Set("detachTrigger", Napi::Function::New(env, Detach));
  exports.Set("setTriggerVar", Napi::Function::New(env, SetVar));
  exports.Set("getTriggerVar", Napi::Function::New(env, GetVar));
  exports.Set("callTriggerFunction", Napi::Function::New(env, CallFunction));
  return exports;
}
