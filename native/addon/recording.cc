#include "recording.h"

#include <string>
#include <vector>

#include "addon_state.h"
#include "dispatch.h"
#include "qemu_glue.h"
#include "subscriptions.h"

namespace {

// Counts of instructions are below 2 to the 53 for the next hundred days of any guest.
Napi::Number ToNumber(Napi::Env env, uint64_t count) { return Napi::Number::New(env, static_cast<double>(count)); }

// instructionCount(): number, that of the event while one of a device is delivered; undefined when none are counted
Napi::Value InstructionCount(const Napi::CallbackInfo& info) {
  if (!rebox_counts_instructions()) {
    return info.Env().Undefined();
  }
  int64_t delivered = State().delivered_count;
  return ToNumber(info.Env(), delivered < 0 ? rebox_instruction_count() : static_cast<uint64_t>(delivered));
}

// recordingMode(): number (rebox_recording_mode)
Napi::Value RecordingMode(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), rebox_recording()); }

// recordingEvents(): number of events of the log that were replayed
Napi::Value RecordingEvents(const Napi::CallbackInfo& info) { return ToNumber(info.Env(), rebox_recording_events()); }

// recordingFailure(): string, "" when the log could be written
Napi::Value RecordingFailure(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), rebox_recording_failure());
}

// isHeld(): whether a callback holds the guest
Napi::Value IsHeld(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), rebox_is_held()); }

// lastRightCount(): number, the count of instructions at the last check of a replay
Napi::Value LastRightCount(const Napi::CallbackInfo& info) { return ToNumber(info.Env(), rebox_last_right_count()); }

// scanRecording(path): {instructions, events, wholeSize, hasEnded}; undefined when it cannot be read
Napi::Value ScanRecording(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  rebox_recording_facts facts;
  if (!rebox_scan_recording(info[0].As<Napi::String>().Utf8Value().c_str(), &facts)) {
    return env.Undefined();
  }
  Napi::Object answer = Napi::Object::New(env);
  answer.Set("instructions", ToNumber(env, facts.instructions));
  answer.Set("events", ToNumber(env, facts.events));
  answer.Set("wholeSize", ToNumber(env, facts.whole_size));
  answer.Set("hasEnded", Napi::Boolean::New(env, facts.has_ended));
  return answer;
}

// keepStates(limit, intervalMs): boolean
Napi::Value KeepStates(const Napi::CallbackInfo& info) {
  double limit = info[0].As<Napi::Number>().DoubleValue();
  int interval_ms = info[1].As<Napi::Number>().Int32Value();
  return Napi::Boolean::New(info.Env(), rebox_keep_states(static_cast<uint64_t>(limit), interval_ms));
}

// keepStateAt(count)
void KeepStateAt(const Napi::CallbackInfo& info) {
  rebox_keep_state_at(static_cast<uint64_t>(info[0].As<Napi::Number>().DoubleValue()));
}

// listStates(): number[], the counts of instructions at which states are kept
Napi::Value ListStates(const Napi::CallbackInfo& info) {
  std::vector<uint64_t> counts(rebox_list_states(nullptr, 0));
  size_t size = rebox_list_states(counts.data(), counts.size());
  Napi::Array answer = Napi::Array::New(info.Env(), size);
  for (uint32_t i = 0; i < size; i++) {
    answer.Set(i, ToNumber(info.Env(), counts[i]));
  }
  return answer;
}

// statesSize(): number of bytes
Napi::Value StatesSize(const Napi::CallbackInfo& info) { return ToNumber(info.Env(), rebox_states_size()); }

// setTravels(on): nobody but those of hearTravel() is told of events while it is on
void SetTravels(const Napi::CallbackInfo& info) {
  State().travels = info[0].As<Napi::Boolean>().Value();
  rebox_set_silent(State().travels);
}

// isTravelling(): boolean
Napi::Value GetTravelling(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), IsTravelling()); }

// endRepetition()
void EndRepetition(const Napi::CallbackInfo&) {
  if (!State().travels) {
    rebox_end_repetition();
  }
}

// wentBackFrom(): number
Napi::Value WentBackFrom(const Napi::CallbackInfo& info) { return ToNumber(info.Env(), rebox_went_back_from()); }

// stopGdbAt(count)
void StopGdbAt(const Napi::CallbackInfo& info) {
  rebox_stop_gdb_at(static_cast<uint64_t>(info[0].As<Napi::Number>().DoubleValue()));
}

// hostTicksKhz(): number
Napi::Value HostTicksKhz(const Napi::CallbackInfo& info) { return ToNumber(info.Env(), rebox_host_ticks_khz()); }

// startFrom(devices, ticksKhz)
void StartFrom(const Napi::CallbackInfo& info) {
  std::string devices = info[0].As<Napi::String>().Utf8Value();
  rebox_start_from(devices.c_str(), static_cast<uint64_t>(info[1].As<Napi::Number>().DoubleValue()));
}

// hearTravel(listenerId)
void HearTravel(const Napi::CallbackInfo& info) {
  if (Listener* listener = subscriptions.Find(info[0].As<Napi::Number>().Uint32Value())) {
    listener->hears_travel = true;
  }
}

}  // namespace

Napi::Object InitRecording(Napi::Env env, Napi::Object exports) {
  exports.Set("instructionCount", Napi::Function::New(env, InstructionCount));
  exports.Set("recordingMode", Napi::Function::New(env, RecordingMode));
  exports.Set("recordingEvents", Napi::Function::New(env, RecordingEvents));
  exports.Set("recordingFailure", Napi::Function::New(env, RecordingFailure));
  exports.Set("isHeld", Napi::Function::New(env, IsHeld));
  exports.Set("lastRightCount", Napi::Function::New(env, LastRightCount));
  exports.Set("scanRecording", Napi::Function::New(env, ScanRecording));
  exports.Set("keepStates", Napi::Function::New(env, KeepStates));
  exports.Set("keepStateAt", Napi::Function::New(env, KeepStateAt));
  exports.Set("listStates", Napi::Function::New(env, ListStates));
  exports.Set("statesSize", Napi::Function::New(env, StatesSize));
  exports.Set("setTravels", Napi::Function::New(env, SetTravels));
  exports.Set("isTravelling", Napi::Function::New(env, GetTravelling));
  exports.Set("endRepetition", Napi::Function::New(env, EndRepetition));
  exports.Set("wentBackFrom", Napi::Function::New(env, WentBackFrom));
  exports.Set("stopGdbAt", Napi::Function::New(env, StopGdbAt));
  exports.Set("hearTravel", Napi::Function::New(env, HearTravel));
  exports.Set("hostTicksKhz", Napi::Function::New(env, HostTicksKhz));
  exports.Set("startFrom", Napi::Function::New(env, StartFrom));
  return exports;
}
