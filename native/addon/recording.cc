#include "recording.h"

#include <string>

#include "qemu_glue.h"

namespace {

// Counts of instructions are below 2 to the 53 for the next hundred days of any guest.
Napi::Number ToNumber(Napi::Env env, uint64_t count) { return Napi::Number::New(env, static_cast<double>(count)); }

// instructionCount(): number; undefined when the machine counts none
Napi::Value InstructionCount(const Napi::CallbackInfo& info) {
  if (!rebox_counts_instructions()) {
    return info.Env().Undefined();
  }
  return ToNumber(info.Env(), rebox_instruction_count());
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

}  // namespace

Napi::Object InitRecording(Napi::Env env, Napi::Object exports) {
  exports.Set("instructionCount", Napi::Function::New(env, InstructionCount));
  exports.Set("recordingMode", Napi::Function::New(env, RecordingMode));
  exports.Set("recordingEvents", Napi::Function::New(env, RecordingEvents));
  exports.Set("recordingFailure", Napi::Function::New(env, RecordingFailure));
  exports.Set("isHeld", Napi::Function::New(env, IsHeld));
  exports.Set("lastRightCount", Napi::Function::New(env, LastRightCount));
  exports.Set("scanRecording", Napi::Function::New(env, ScanRecording));
  return exports;
}
