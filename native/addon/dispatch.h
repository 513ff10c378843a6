// From an event to its listeners: process, filter, trigger, stream or call. All of it is inlined into each event.
#pragma once

#include <string>

#include "event_facts.h"
#include "guest_test.h"
#include "script_objects.h"
#include "subscriptions.h"
#include "triggers.h"

// Calls a listener's function. Call within a scope.
void Fire(Listener& listener, size_t argc, const napi_value* argv);

// Reports to the script that its callback has lost its trigger. Call within a scope.
void ReportTriggerFailure(uint32_t listener_id, const std::string& reason);

// Hands what a stream holds to its handler. Call within a scope.
void HandOver(Listener& listener);

// Counts what the filter keeps away. A filter that will let nothing more through retires its listener.
inline bool PassesFilter(Listener& listener, EventFacts facts) {
  if (listener.filter->needs_mode()) {
    facts.is_kernel = rebox_is_kernel(facts.cpu_index);
  }
  if (__builtin_expect(!listener.filter->Accepts(facts), 1)) {
    listener.filtered++;
    return false;
  }
  if (listener.filter->is_used_up()) {
    subscriptions.Retire(listener);
  }
  return true;
}

inline bool CanDeliver(int cpu_index) {
  return !State().silent && State().calls.HasScope() && static_cast<size_t>(cpu_index) < script_objects.cpus.size();
}

// Whether the event being reported is one for listeners without a trigger. Ask before the first is called.
inline bool IsForAll(int kind) { return !subscriptions.everywhere[kind] || rebox_reported.monitored; }

// Whether the event being reported is a repetition for this listener.
inline bool HasSeen(const Listener& listener) { return listener.subscription <= rebox_reported.subscribed_after; }

// Whether a replay is on its way to a place.
inline bool IsTravelling() { return State().travels || (rebox_goes_back && rebox_repeats()); }

// Whether the event is one on such a way, and the listener takes no part in that. One of a device is delivered later:
// it happened in front of the way.
inline bool IsMuted(const Listener& listener) {
  return IsTravelling() && State().delivered_count < 0 && !listener.hears_travel;
}

// Counts what the condition keeps away.
inline bool MeetsCondition(Listener& listener, int cpu_index) {
  if (__builtin_expect(!listener.condition->Holds(cpu_index), 1)) {
    listener.filtered++;
    return false;
  }
  return true;
}

// Asks filter, condition and trigger, in this order, because each costs more than the one before.
template <typename MakeFacts, typename MakeParams>
inline bool PassesNatively(Listener& listener, MakeFacts make_facts, MakeParams make_params) {
  if (listener.has_passed) {
    listener.has_passed = false;
    return true;
  }
  bool is_measured = listener.native_time.Turn();
  uint64_t began = is_measured ? ReadTicks() : 0;
  bool passes = (!listener.filter || PassesFilter(listener, make_facts())) &&
                (!listener.condition || MeetsCondition(listener, make_facts().cpu_index)) &&
                (!listener.trigger || listener.trigger->Passes(make_params));
  if (is_measured) {
    listener.native_time.Measured(ReadTicks() - began);
  }
  return passes;
}

// Everything that can be decided without the script: process, filter, trigger, stream; in this order, because each
// costs more than the one before. True when the script is to be called.
template <typename MakeFacts, typename MakeParams>
inline bool IsForScript(Listener& listener, bool is_for_all, MakeFacts make_facts, MakeParams make_params) {
  bool is_concerned = is_for_all || (listener.trigger && !listener.trigger->is_of_monitored());
  if (!is_concerned || ((listener.filter || listener.condition || listener.trigger) &&
                        !PassesNatively(listener, make_facts, make_params))) {
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
inline void FireAll(int kind, int cpu_index, MakeFacts make_facts, MakeArguments make_arguments,
                    MakeParams make_params) {
  if (!CanDeliver(cpu_index)) {
    return;
  }
  bool is_for_all = IsForAll(kind);
  subscriptions.by_kind[kind].Each([&](Listener& listener) {
    if (HasSeen(listener) || IsMuted(listener) || !IsForScript(listener, is_for_all, make_facts, make_params)) {
      return;
    }
    State().calls.PrepareScope();
    napi_value arguments[5];
    size_t count = make_arguments(arguments);
    Fire(listener, count, arguments);
  });
}
