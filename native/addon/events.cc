#include "events.h"

#include <iterator>
#include <memory>

#include "code_events.h"
#include "code_watches.h"
#include "device_events.h"
#include "dispatch.h"
#include "uint64_value.h"

namespace {

std::unique_ptr<Listener> MakeListener(int kind, const Napi::Value& function, const Napi::Value& filter) {
  auto listener = std::make_unique<Listener>();
  listener->kind = kind;
  State().calls.Hold(listener->function, function);
  listener->filter = Filter::From(filter);
  return listener;
}

int ToKind(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }

// addListener(event, function, filter?, columns?, drop?): number, the listener's id
Napi::Value Add(const Napi::CallbackInfo& info) {
  auto listener = MakeListener(ToKind(info[0]), info[1], info[2]);
  if (info[3].IsObject()) {
    listener->stream = Stream::From(info[3], info[4].As<Napi::Boolean>());
  }
  return Napi::Number::New(info.Env(), subscriptions.Add(std::move(listener)));
}

// addHook(event, function, address, pgd, filter?): number
Napi::Value AddHook(const Napi::CallbackInfo& info) {
  auto listener = MakeListener(ToKind(info[0]), info[1], info[4]);
  uint32_t id = subscriptions.AddHook(std::move(listener), ToUint64(info[2]), ToUint64(info[3]));
  return Napi::Number::New(info.Env(), id);
}

// addOpcodes(function, first, last, filter?, columns?, drop?): number
Napi::Value AddOpcodes(const Napi::CallbackInfo& info) {
  auto listener = MakeListener(REBOX_OPCODE_RANGE, info[0], info[3]);
  listener->first_opcode = info[1].As<Napi::Number>().Uint32Value();
  listener->last_opcode = info[2].As<Napi::Number>().Uint32Value();
  if (info[4].IsObject()) {
    listener->stream = Stream::From(info[4], info[5].As<Napi::Boolean>());
  }
  return Napi::Number::New(info.Env(), subscriptions.Add(std::move(listener)));
}

// setCondition(id, condition): boolean, whether there is such a hook
Napi::Value SetCondition(const Napi::CallbackInfo& info) {
  Listener* listener = subscriptions.Find(info[0].As<Napi::Number>().Uint32Value());
  bool is_hook = listener && listener->is_hooked;
  if (is_hook) {
    listener->condition = GuestCondition::From(info[1]);
  }
  return Napi::Boolean::New(info.Env(), is_hook);
}

Napi::Value Remove(const Napi::CallbackInfo& info) {
  subscriptions.Remove(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

// statistics(id): [calls, filtered, dropped, nativeTimeMs, scriptTimeMs] | undefined
Napi::Value Statistics(const Napi::CallbackInfo& info) {
  const Listener* listener = subscriptions.Find(info[0].As<Napi::Number>().Uint32Value());
  if (!listener) {
    return info.Env().Undefined();
  }
  const double values[] = {
      static_cast<double>(listener->script_time.turns()),
      static_cast<double>(subscriptions.CountFiltered(*listener)),
      listener->stream ? static_cast<double>(listener->stream->dropped()) : 0,
      TicksToMs(listener->native_time.ticks()),
      TicksToMs(listener->script_time.ticks()),
  };
  Napi::Array numbers = Napi::Array::New(info.Env(), std::size(values));
  for (uint32_t i = 0; i < std::size(values); i++) {
    numbers.Set(i, Napi::Number::New(info.Env(), values[i]));
  }
  return numbers;
}

// releaseGuest(): ends one hold
Napi::Value Release(const Napi::CallbackInfo& info) {
  rebox_release();
  return info.Env().Undefined();
}

// eventCpu(): number
Napi::Value EventCpu(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), rebox_event_cpu()); }

// setScriptObjects(cpus: object[], blockFactory, onFailure, onPromise)
Napi::Value SetScriptObjects(const Napi::CallbackInfo& info) {
  static rebox_listener listener = {};
  script_objects.Set(info.Env(), info[0].As<Napi::Array>(), info[1], info[2], info[3]);
  ListenToCode(&listener);
  ListenToCodeWatches(&listener);
  ListenToDevices(&listener);
  rebox_listen(&listener);
  return info.Env().Undefined();
}

}  // namespace

void HandOverStreams() {
  auto hand_over = [](Listener& listener) {
    if (listener.stream) {
      HandOver(listener);
    }
  };
  for (ListenerList& list : subscriptions.by_kind) {
    list.Each(hand_over);
  }
  subscriptions.retired.Each(hand_over);
}

Napi::Object InitEvents(Napi::Env env, Napi::Object exports) {
  exports.Set("addListener", Napi::Function::New(env, Add));
  exports.Set("releaseGuest", Napi::Function::New(env, Release));
  exports.Set("eventCpu", Napi::Function::New(env, EventCpu));
  exports.Set("statistics", Napi::Function::New(env, Statistics));
  exports.Set("addHook", Napi::Function::New(env, AddHook));
  exports.Set("addOpcodes", Napi::Function::New(env, AddOpcodes));
  exports.Set("setCondition", Napi::Function::New(env, SetCondition));
  exports.Set("removeListener", Napi::Function::New(env, Remove));
  exports.Set("setScriptObjects", Napi::Function::New(env, SetScriptObjects));
  return exports;
}
