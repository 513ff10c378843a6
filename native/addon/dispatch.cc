#include "dispatch.h"

// Holds the guest until the promise has settled: rebox's own function sees to it and calls releaseGuest().
static void WaitFor(Listener& listener, napi_value promise) {
  napi_value error = nullptr;
  napi_value arguments[2] = {script_objects.Number(listener.id), promise};
  rebox_hold();
  if (State().calls.Call(script_objects.promise_handler, 2, arguments, &error) == CallResult::kThrew) {
    rebox_release();
    napi_fatal_exception(script_objects.env, error);
  }
}

static void ReportFailure(uint32_t id, napi_value error, bool is_cut_off) {
  napi_env env = script_objects.env;
  napi_value arguments[3] = {script_objects.Number(id), error, nullptr};
  napi_get_boolean(env, is_cut_off, &arguments[2]);
  if (State().calls.Call(script_objects.failure_handler, 3, arguments, &error) == CallResult::kThrew) {
    napi_fatal_exception(env, error);
  }
}

void ReportTriggerFailure(uint32_t listener_id, const std::string& reason) {
  napi_env env = script_objects.env;
  napi_value text = nullptr, error = nullptr;
  napi_create_string_utf8(env, reason.data(), reason.size(), &text);
  napi_create_error(env, nullptr, text, &error);
  ReportFailure(listener_id, error, false);
}

void Fire(Listener& listener, size_t argc, const napi_value* argv) {
  napi_env env = script_objects.env;
  napi_value error = nullptr;
  napi_value returned = nullptr;
  bool is_measured = listener.script_time.Turn();
  uint64_t began = is_measured ? ReadTicks() : 0;
  CallResult result = State().calls.Call(listener.function, argc, argv, &error, &returned);
  if (is_measured) {
    listener.script_time.Measured(ReadTicks() - began);
  }
  if (__builtin_expect(result == CallResult::kReturned, 1)) {
    bool is_promise = false;
    napi_is_promise(env, returned, &is_promise);
    if (__builtin_expect(is_promise, 0)) {
      WaitFor(listener, returned);
    }
    return;
  }
  uint32_t id = listener.id;
  if (result == CallResult::kCutOff) {
    // It would only run into the limit again.
    subscriptions.Remove(id);
    napi_get_boolean(env, State().calls.TakeMemoryCutOff(), &error);
  }
  ReportFailure(id, error, result == CallResult::kCutOff);
}

void HandOver(Listener& listener) {
  if (listener.stream->Publish()) {
    State().calls.PrepareScope();
    Fire(listener, 0, nullptr);
    listener.stream->Clear();
  }
}
